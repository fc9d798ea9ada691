import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceRule } from "../../src/bundle/resources.ts";
import { deviceProgram } from "../../src/isolation/cgroup/device-program.ts";
import { deviceLine, devicePolicy, parseDeviceLine } from "../../src/isolation/cgroup/device-rules.ts";

const devices = suite("cgroup devices");

const denyAll: DeviceRule = { allow: false, access: "rwm" };
const allowAll: DeviceRule = { allow: true, access: "rwm" };
const defaults = devicePolicy([denyAll]).exceptions.map(deviceLine);

function added(rules: readonly DeviceRule[]): string[] {
  return devicePolicy(rules)
    .exceptions.map(deviceLine)
    .filter((line) => !defaults.includes(line));
}

devices("gives every container the default devices and mknod of any", () => {
  assert.equal([...defaults].sort(), [
    "b *:* m",
    "c *:* m",
    ...[
      "c 136:* rwm",
      "c 1:3 rwm",
      "c 1:5 rwm",
      "c 1:7 rwm",
      "c 1:8 rwm",
      "c 1:9 rwm",
      "c 5:0 rwm",
      "c 5:2 rwm",
    ],
  ]);
  assert.equal(devicePolicy(undefined), devicePolicy([denyAll]));
});

devices("adds and takes away in order", () => {
  const fuse = { type: "c", major: 10, minor: 229 };
  assert.equal(added([denyAll, { allow: true, ...fuse, access: "rw" }]), ["c 10:229 rw"]);
  assert.equal(
    added([denyAll, { allow: true, ...fuse, access: "rw" }, { allow: false, ...fuse, access: "w" }]),
    ["c 10:229 r"],
  );
  assert.equal(added([{ allow: true, ...fuse, access: "rw" }, denyAll]), []);
  assert.equal(
    added([denyAll, { allow: true, ...fuse, access: "r" }, { allow: true, ...fuse, access: "w" }]),
    ["c 10:229 rw"],
  );
});

devices("allows everything for a privileged container", () => {
  assert.equal(devicePolicy([denyAll, allowAll]), { allowAll: true, exceptions: [] });
});

devices("refuses a hole in a range and rules that make no sense", () => {
  const range: DeviceRule = { allow: true, type: "c", major: 10, access: "rwm" };
  assert.throws(
    () => devicePolicy([denyAll, range, { allow: false, type: "c", major: 10, minor: 1, access: "r" }]),
    /^linux\.resources\.devices\[2\]: /,
  );
  assert.equal(added([denyAll, range, { allow: false, type: "c", major: 10, access: "rwm" }]), []);
  assert.throws(() => devicePolicy([{ allow: true, type: "x" }]), /devices\[0\]\.type: unknown/);
  assert.throws(
    () => devicePolicy([{ allow: true, type: "c", access: "rx" }]),
    /devices\[0\]\.access: unknown/,
  );
});

devices("reads back what it writes", () => {
  for (const line of defaults) assert.is(deviceLine(parseDeviceLine(line)), line);
});

/** Runs the few instructions that deviceProgram uses. */
function run(program: Buffer, type: "b" | "c", major: number, minor: number, access: string): boolean {
  const bits =
    (access.includes("m") ? 1 : 0) | (access.includes("r") ? 2 : 0) | (access.includes("w") ? 4 : 0);
  const context = [(bits << 16) | (type === "b" ? 1 : 2), major, minor];
  const registers: number[] = Array(11).fill(0);
  for (let at = 0; ; at++) {
    const code = program.readUInt8(at * 8);
    const [target, source] = [program.readUInt8(at * 8 + 1) & 15, program.readUInt8(at * 8 + 1) >> 4];
    const [offset, immediate] = [program.readInt16LE(at * 8 + 2), program.readInt32LE(at * 8 + 4)];
    const value = registers[target] ?? 0;
    if (code === 0x61) registers[target] = context[offset / 4] ?? 0;
    else if (code === 0xbc) registers[target] = registers[source] ?? 0;
    else if (code === 0xb7) registers[target] = immediate;
    else if (code === 0x54) registers[target] = value & immediate;
    else if (code === 0x74) registers[target] = value >>> immediate;
    else if (code === 0x55) at += value !== immediate ? offset : 0;
    else if (code === 0x15) at += value === immediate ? offset : 0;
    else if (code === 0x95) return registers[0] === 1;
    else throw new Error(`instruction ${code}`);
  }
}

devices("compiles a policy into a program that says the same", () => {
  const denying = deviceProgram(devicePolicy([denyAll, { allow: true, type: "b", major: 8, access: "r" }]));
  assert.ok(run(denying, "c", 1, 3, "rw"));
  assert.ok(run(denying, "c", 99, 99, "m"));
  assert.not(run(denying, "c", 99, 99, "rm"));
  assert.not(run(denying, "b", 1, 3, "r"));
  assert.ok(run(denying, "b", 8, 7, "r"));
  assert.not(run(denying, "b", 8, 7, "rw"));
  const allowing = deviceProgram(
    devicePolicy([allowAll, { allow: false, type: "c", major: 10, minor: 1, access: "w" }]),
  );
  assert.ok(run(allowing, "c", 10, 1, "r"));
  assert.not(run(allowing, "c", 10, 1, "rw"));
  assert.ok(run(allowing, "c", 10, 2, "rwm"));
});

devices.run();
