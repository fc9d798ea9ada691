import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  checkedCode,
  decodeHead,
  ENTRY_HEAD_BYTES,
  type EntryHead,
  encodeHead,
  sha256,
} from "../../src/code/code-entry.ts";
import { rejects } from "../support/rejects.ts";

const entry = suite("file of code");

const code = Buffer.from("machine code of sorts");
const head: EntryHead = {
  format: 1,
  engine: "e".repeat(32),
  build: "0123456789abcdef",
  module: "a".repeat(64),
  size: code.length,
  sha256: sha256(code),
  optimised: 3,
  functions: 7,
};
const file = Buffer.concat([encodeHead(head), code]);

entry("begins with a line that says what it is", () => {
  assert.is(encodeHead(head).length, ENTRY_HEAD_BYTES);
  assert.equal(JSON.parse(file.toString("latin1").split("\n", 1)[0] ?? ""), head);
  assert.equal(decodeHead(file), head);
  assert.equal(Buffer.from(checkedCode(file, head)), code);
});

entry("is refused when one bit of it is not as it was written", async () => {
  for (let at = 0; at < file.length; at++) {
    const changed = Buffer.from(file);
    changed[at] = (changed[at] ?? 0) ^ 4;
    const said = JSON.stringify(head);
    if ((at >= said.length && at < ENTRY_HEAD_BYTES) || isOnlyTold(said, at)) continue;
    await rejects(() => checkedCode(changed, head), "failed_precondition", /./);
  }
});

/** Within the value of what is read by nobody who runs the code. */
function isOnlyTold(said: string, at: number): boolean {
  return ["build", "optimised", "functions"].some((name) => {
    const from = said.indexOf(`"${name}":`) + name.length + 3;
    return at >= from && at < from + JSON.stringify(head[name as keyof EntryHead]).length;
  });
}

entry("is refused with the reason", async () => {
  const cases: readonly (readonly [RegExp, Buffer, Partial<EntryHead>?])[] = [
    [/does not begin like one/, Buffer.alloc(0)],
    [/does not begin like one/, file.subarray(0, 100)],
    [/does not begin like one/, Buffer.concat([encodeHead({ ...head, engine: "../.." }), code])],
    [/has 20 bytes of 21/, file.subarray(0, file.length - 1)],
    [/has 22 bytes of 21/, Buffer.concat([file, Buffer.from("!")])],
    [/its sha256 is not/, Buffer.concat([encodeHead({ ...head, sha256: "0".repeat(64) }), code])],
    [/it is of module a{64}/, file, { module: "b".repeat(64) }],
    [/it is of engine e{32}/, file, { engine: "f".repeat(32) }],
  ];
  for (const [reason, bytes, wanted] of cases)
    await rejects(() => checkedCode(bytes, { ...head, ...wanted }), "failed_precondition", reason);
});

entry.run();
