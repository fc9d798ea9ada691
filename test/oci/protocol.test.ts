import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decodeCall, encodeProgram, encodeWait, toClient } from "../../src/oci/protocol.ts";

const protocol = suite("the dialogue of client and OCI server");

function fields(...texts: string[]): Buffer {
  return Buffer.concat(
    texts.map((text) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(Buffer.byteLength(text));
      return Buffer.concat([length, Buffer.from(text)]);
    }),
  );
}

protocol("a call is its directory, what matters of its environment, and its arguments", () => {
  const call = decodeCall(fields("/work", "2", "PATH=/bin:/x=y", "HOME=", "run", "", "größe"));
  assert.is(call.cwd, "/work");
  assert.equal(
    [...call.env],
    [
      ["PATH", "/bin:/x=y"],
      ["HOME", ""],
    ],
  );
  assert.equal(call.args, ["run", "", "größe"]);
});

protocol("a call without anything is one, a call that is cut off is none", () => {
  assert.equal(decodeCall(fields("", "0")).args, []);
  const whole = fields("/work", "0", "list");
  assert.throws(() => decodeCall(whole.subarray(0, whole.length - 1)), /cut off/);
});

protocol("what the client executes ends each word with a NUL", () => {
  const message = encodeProgram("/usr/sbin/criu", ["swrk", "3"]);
  assert.is(message[0], toClient.program);
  assert.is(message.toString("latin1", 1), "/usr/sbin/criu\0swrk\x003\0");
  assert.equal([...encodeWait(0x01020304)], [toClient.wait, 4, 3, 2, 1]);
});

protocol.run();
