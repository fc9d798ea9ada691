import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type DbusValue, marshal, unmarshal } from "../../../../src/isolation/systemd/dbus/marshal.ts";
import {
  decodeMessage,
  encodeMessage,
  messageTypes,
} from "../../../../src/isolation/systemd/dbus/message.ts";

const dbus = suite("D-Bus messages");

/** A Hello as sd-bus and libdbus write it, byte for byte (dbus-specification "Message Format"). */
const hello = Buffer.concat([
  Buffer.from("6c01000100000000010000006d000000", "hex"),
  Buffer.from("01016f00150000002f6f72672f667265656465736b746f702f4442757300", "hex"),
  Buffer.from("0000", "hex"),
  Buffer.from("02017300140000006f72672e667265656465736b746f702e4442757300", "hex"),
  Buffer.from("000000", "hex"),
  Buffer.from("030173000500000048656c6c6f00", "hex"),
  Buffer.from("0000", "hex"),
  Buffer.from("06017300140000006f72672e667265656465736b746f702e4442757300", "hex"),
  Buffer.from("000000", "hex"),
]);

dbus("a call has the bytes that the specification gives it", () => {
  const bytes = encodeMessage({
    type: messageTypes.methodCall,
    serial: 1,
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    destination: "org.freedesktop.DBus",
    body: [],
  });
  assert.is(bytes.toString("hex"), hello.toString("hex"));
});

dbus("a message is read back, once all of it is there", () => {
  for (let length = 0; length < hello.length; length++)
    assert.is(decodeMessage(hello.subarray(0, length)), undefined);
  const next = decodeMessage(Buffer.concat([hello, hello]));
  assert.is(next?.length, hello.length);
  assert.equal(next?.message, {
    type: 1,
    serial: 1,
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    destination: "org.freedesktop.DBus",
    body: [],
  });
});

dbus("values are padded as their types want it", () => {
  // byte, padding, uint64; array of structs, the padding before the first of which does not count.
  assert.is(marshal("yt", [1, 2n]).toString("hex"), "01000000000000000200000000000000");
  assert.is(
    marshal("a(yt)", [[[1, 2n]]]).toString("hex"),
    "10000000000000000100000000000000" + "0200000000000000",
  );
  assert.is(marshal("av", [[]]).toString("hex"), "00000000");
  assert.is(marshal("sg", ["é", "a(sv)"]).toString("hex"), "02000000c3a900056128737629" + "00");
});

dbus("values of every type come back", () => {
  const values: DbusValue[] = [
    255,
    true,
    -2,
    65535,
    -3,
    4_294_967_295,
    -4n,
    0xffff_ffff_ffff_ffffn,
    "text",
    "/object",
    "a(sv)",
    [["name", { signature: "au", value: [1, 2] }]],
    [],
  ];
  const signature = "ybnqiuxtsoga(sv)a(st)";
  assert.equal(unmarshal(signature, marshal(signature, values)), values);
  const long = "x".repeat(100_000);
  assert.equal(unmarshal("s", marshal("s", [long])), [long]);
});

dbus("what is no message ends the conversation", () => {
  const otherOrder = Buffer.from(hello);
  otherOrder[0] = 0x42;
  assert.throws(() => decodeMessage(otherOrder), /byte order/);
  const huge = Buffer.from(hello);
  huge.writeUInt32LE(0x7fff_ffff, 4);
  assert.throws(() => decodeMessage(huge), /a message of \d+ bytes/);
  assert.throws(() => unmarshal("s", Buffer.from("ff000000", "hex")), /ends too early/);
  assert.throws(() => unmarshal("as", Buffer.from("ff00000000000000", "hex")), /ends too early/);
  assert.throws(() => marshal("s", ["a\0b"]), /is not a string/);
  assert.throws(() => marshal("t", [1]), /is not a bigint/);
  assert.throws(() => unmarshal("h", Buffer.alloc(4)), /not understood/);
});

dbus.run();
