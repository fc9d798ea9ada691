import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadFilter, storeFilter } from "../../src/isolation/seccomp/cache.ts";
import { actionWord, knownArchitectures, type LinuxSeccomp } from "../../src/isolation/seccomp/profile.ts";
import { compileSeccomp } from "../../src/isolation/seccomp.ts";

const seccomp = suite("seccomp");
const directory = mkdtempSync(join(tmpdir(), "tandem-seccomp-"));
const probe = join(directory, "probe");
const source = fileURLToPath(new URL("./fixtures/seccomp-probe.c", import.meta.url));

// x86_64 and aarch64 numbers of the calls that the tests make.
const numbers =
  process.arch === "arm64"
    ? { getppid: 173, personality: 92, mkdirat: 34, sync: 81 }
    : { getppid: 110, personality: 135, mkdirat: 258, sync: 162 };
/** What the probe itself needs. */
const essential = {
  names: ["write", "exit_group", "exit", "seccomp", "rt_sigreturn"],
  action: "SCMP_ACT_ALLOW",
};
const newerThanAll = 2000;

seccomp.before(() => {
  execFileSync("cc", ["-O1", "-o", probe, source]);
});

seccomp.after(() => rmSync(directory, { recursive: true }));

/** What a process under the profile gets from a call: "ok", an errno's name, or the signal that it dies of. */
function call(profile: LinuxSeccomp, number: number, ...args: readonly (number | bigint)[]): string {
  const { filter, flags } = compileSeccomp(profile, undefined);
  const file = join(directory, "filter");
  writeFileSync(file, filter);
  const { stdout, signal, status } = spawnSync(
    probe,
    [file, String(flags), String(number), ...args.map(String)],
    { encoding: "utf8" },
  );
  return signal ?? (status === 0 ? stdout : `status ${status} ${stdout}`);
}

function denyAllBut(...syscalls: NonNullable<LinuxSeccomp["syscalls"]>): LinuxSeccomp {
  return { defaultAction: "SCMP_ACT_ERRNO", syscalls: [essential, ...syscalls] };
}

function allowAllBut(action: string, errnoRet?: number): LinuxSeccomp {
  const rule = { names: ["getppid"], action, ...(errnoRet === undefined ? {} : { errnoRet }) };
  return { defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule] };
}

seccomp("lets through what is allowed and fails the rest with EPERM", () => {
  // A call newer than sync is named, so that sync itself is not taken for one of the future.
  const profile = denyAllBut({ names: ["getppid", "openat2"], action: "SCMP_ACT_ALLOW" });
  assert.is(call(profile, numbers.getppid), "ok");
  assert.is(call(profile, numbers.sync), "EPERM");
});

seccomp("fails calls newer than the whole profile with ENOSYS", () => {
  assert.is(call(denyAllBut(), newerThanAll), "ENOSYS");
  assert.is(call({ ...denyAllBut(), defaultAction: "SCMP_ACT_KILL_PROCESS" }, newerThanAll), "ENOSYS");
});

seccomp("does so on every architecture that the profile names, and still answers the native one", () => {
  const profile = { ...denyAllBut({ names: ["getppid", "openat2"], action: "SCMP_ACT_ALLOW" }) };
  const architectures = process.arch === "arm64" ? ["SCMP_ARCH_ARM"] : ["SCMP_ARCH_X86", "SCMP_ARCH_X32"];
  const several = { ...profile, architectures };
  assert.is(call(several, numbers.getppid), "ok");
  assert.is(call(several, numbers.sync), "EPERM");
  assert.is(call(several, newerThanAll), "ENOSYS");
});

seccomp("leaves newer calls to a default action that lets them through", () => {
  assert.is(call(allowAllBut("SCMP_ACT_ERRNO"), newerThanAll), "ENOSYS"); // the kernel's own
  const { filter } = compileSeccomp(allowAllBut("SCMP_ACT_ERRNO"), undefined);
  const { filter: denying } = compileSeccomp(denyAllBut(), undefined);
  assert.is(filter.indexOf(Buffer.from([0x26, 0, 5, 0])), -1);
  assert.is.not(denying.indexOf(Buffer.from([0x26, 0, 5, 0])), -1);
});

seccomp("does what each action says", () => {
  assert.is(call(allowAllBut("SCMP_ACT_ERRNO"), numbers.getppid), "EPERM");
  assert.is(call(allowAllBut("SCMP_ACT_ERRNO", 13), numbers.getppid), "EACCES");
  assert.is(call(allowAllBut("SCMP_ACT_KILL"), numbers.getppid), "SIGSYS");
  assert.is(call(allowAllBut("SCMP_ACT_KILL_THREAD"), numbers.getppid), "SIGSYS");
  assert.is(call(allowAllBut("SCMP_ACT_KILL_PROCESS"), numbers.getppid), "SIGSYS");
  assert.is(call(allowAllBut("SCMP_ACT_TRAP"), numbers.getppid), "SIGSYS");
  assert.is(call(allowAllBut("SCMP_ACT_LOG"), numbers.getppid), "ok");
  // Without a tracer the kernel says ENOSYS.
  assert.is(call(allowAllBut("SCMP_ACT_TRACE"), numbers.getppid), "ENOSYS");
});

seccomp("compares arguments by every operator", () => {
  const cases: [string, number, number | undefined, number[], number[]][] = [
    ["SCMP_CMP_EQ", 8, undefined, [8], [7, 9]],
    ["SCMP_CMP_NE", 8, undefined, [7, 9], [8]],
    ["SCMP_CMP_LT", 8, undefined, [7], [8, 9]],
    ["SCMP_CMP_LE", 8, undefined, [7, 8], [9]],
    ["SCMP_CMP_GT", 8, undefined, [9], [8, 7]],
    ["SCMP_CMP_GE", 8, undefined, [9, 8], [7]],
    ["SCMP_CMP_MASKED_EQ", 0xf0, 0x30, [0x30, 0x3f], [0x40]],
  ];
  for (const [op, value, valueTwo, matching, others] of cases) {
    const arg = { index: 3, op, value, ...(valueTwo === undefined ? {} : { valueTwo }) };
    const profile = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["getppid"], action: "SCMP_ACT_ERRNO", errnoRet: 7, args: [arg] }],
    };
    for (const argument of matching)
      assert.is(call(profile, numbers.getppid, 0, 0, 0, argument), "E2BIG", `${op} ${argument}`);
    for (const argument of others)
      assert.is(call(profile, numbers.getppid, 0, 0, 0, argument), "ok", `${op} ${argument}`);
  }
});

seccomp("compares all 64 bits of an argument", () => {
  const args = [{ index: 0, op: "SCMP_CMP_EQ", value: 0xffff_ffff_0000_0001n }];
  const profile = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["getppid"], action: "SCMP_ACT_ERRNO", args }],
  };
  assert.is(call(profile, numbers.getppid, 0xffff_ffff_0000_0001n), "EPERM");
  assert.is(call(profile, numbers.getppid, 1), "ok");
});

seccomp("wants all arguments of a rule, but any of those that name the same one", () => {
  const rule = (args: { index: number; op: string; value: number }[]) => ({
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["getppid"], action: "SCMP_ACT_ERRNO", args }],
  });
  const equals = (index: number, value: number) => ({ index, op: "SCMP_CMP_EQ", value });
  const both = rule([equals(0, 1), equals(1, 2)]);
  assert.is(call(both, numbers.getppid, 1, 2), "EPERM");
  assert.is(call(both, numbers.getppid, 1, 3), "ok");
  const either = rule([equals(0, 1), equals(0, 2)]);
  assert.is(call(either, numbers.getppid, 1), "EPERM");
  assert.is(call(either, numbers.getppid, 2), "EPERM");
  assert.is(call(either, numbers.getppid, 3), "ok");
});

seccomp("skips system calls that nobody knows", () => {
  const profile = denyAllBut({ names: ["no_such_call", "getppid"], action: "SCMP_ACT_ALLOW" });
  assert.is(call(profile, numbers.getppid), "ok");
});

seccomp("compiles a profile as long as those of engines, within the kernel's limits", () => {
  const header = readFileSync("/usr/include/seccomp.h", "utf8");
  const syscalls = readFileSync("/usr/include/seccomp-syscalls.h", "utf8");
  assert.ok(header.length > 0);
  const names = [...syscalls.matchAll(/^#define __SNR_(\w+)/gm)].map(([, name]) => name ?? "");
  assert.ok(names.length > 400);
  const allowed = names.filter((name) => !["sync", "personality"].includes(name));
  const profile: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_ERRNO",
    architectures:
      process.arch === "arm64"
        ? ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
        : ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    syscalls: [
      { names: allowed, action: "SCMP_ACT_ALLOW" },
      ...[0, 8, 0x20000, 0x20008, 0xffffffff].map((value) => ({
        names: ["personality"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, op: "SCMP_CMP_EQ", value }],
      })),
    ],
  };
  assert.is(call(profile, numbers.getppid), "ok");
  assert.is(call(profile, numbers.sync), "EPERM");
  assert.is(call(profile, numbers.personality, 0xffffffff), "ok");
  assert.is(call(profile, numbers.personality, 0x40000), "EPERM");
});

seccomp("turns flags into the kernel's bits, with SPEC_ALLOW when there are none", () => {
  const flags = (...names: string[]) => compileSeccomp({ ...denyAllBut(), flags: names }, undefined).flags;
  assert.is(compileSeccomp(denyAllBut(), undefined).flags, 4);
  assert.is(flags(), 0);
  assert.is(flags("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"), 3);
  // What means something only with a listener, or only without one, is left out of the other kind.
  assert.is(flags("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"), 0);
  const notify = { names: ["mkdirat"], action: "SCMP_ACT_NOTIFY" };
  const all = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_TSYNC"];
  const listening = { ...denyAllBut(notify), listenerPath: "/run/l.sock", flags: all };
  assert.is(compileSeccomp(listening, undefined).flags, 32 | 8);
});

seccomp("takes a profile for every machine: what this one cannot be is left out", () => {
  const profile = { ...denyAllBut(), architectures: [...knownArchitectures] };
  const own = {
    ...denyAllBut(),
    architectures:
      process.arch === "arm64"
        ? ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
        : ["SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
  };
  assert.equal([...compileSeccomp(profile, undefined).filter], [...compileSeccomp(own, undefined).filter]);
  for (const name of ["SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB"])
    assert.ok(knownArchitectures.includes(name), name);
});

seccomp("refuses metadata for a listener that there is not", () => {
  assert.throws(
    () => compileSeccomp({ ...denyAllBut(), listenerMetadata: "m" }, undefined),
    /^linux\.seccomp\.listenerMetadata: .*listenerPath/,
  );
});

seccomp("asks for a listener when an action is NOTIFY", () => {
  const notify = { names: ["mkdirat"], action: "SCMP_ACT_NOTIFY" };
  const filter = compileSeccomp(
    { ...denyAllBut(notify), listenerPath: "/run/l.sock", listenerMetadata: "m" },
    undefined,
  );
  assert.is(filter.flags & 8, 8);
  assert.is(filter.listenerPath, "/run/l.sock");
  assert.is(filter.listenerMetadata, "m");
  assert.throws(
    () => compileSeccomp(denyAllBut(notify), undefined),
    /^linux\.seccomp\.listenerPath: missing/,
  );
  const onWrite = { ...denyAllBut({ ...notify, names: ["write"] }), listenerPath: "/run/l.sock" };
  assert.throws(() => compileSeccomp(onWrite, undefined), /cannot be used for write/);
  assert.throws(() => compileSeccomp({ defaultAction: "SCMP_ACT_NOTIFY" }, undefined), /defaultAction/);
});

seccomp("refuses what it does not know, by name", () => {
  const arg = { index: 0, op: "SCMP_CMP_EQ", value: 1 };
  const rule = (args: LinuxSeccomp["syscalls"]) => denyAllBut(...(args ?? []));
  const cases: [LinuxSeccomp, RegExp][] = [
    [{ defaultAction: "SCMP_ACT_MAYBE" }, /^linux\.seccomp\.defaultAction: unknown "SCMP_ACT_MAYBE"/],
    [
      { ...denyAllBut(), architectures: ["SCMP_ARCH_VAX"] },
      /^linux\.seccomp\.architectures\[0\]: unknown "SCMP_ARCH_VAX"/,
    ],
    [{ ...denyAllBut(), flags: ["toString"] }, /^linux\.seccomp\.flags\[0\]: unknown "toString"/],
    [
      rule([{ names: ["sync"], action: "SCMP_ACT_ALLOW", args: [{ ...arg, op: "~" }] }]),
      /syscalls\[1\]\.args\[0\]\.op: unknown/,
    ],
    [
      rule([{ names: ["sync"], action: "SCMP_ACT_ALLOW", args: [{ ...arg, index: 6 }] }]),
      /index 6 is not 0 to 5/,
    ],
    [
      rule([{ names: ["sync"], action: "SCMP_ACT_ALLOW", args: [{ ...arg, value: 2 ** 60 }] }]),
      /cannot be read exactly/,
    ],
    [rule([{ names: ["sync"], action: "SCMP_ACT_ERRNO", errnoRet: 70000 }]), /errno 70000 does not fit/],
  ];
  for (const [profile, message] of cases) {
    assert.throws(
      () => compileSeccomp(profile, undefined),
      (error: Error) => message.test(error.message) || assert.unreachable(error.message),
    );
  }
});

seccomp("gives ERRNO an errno of zero when the profile says so", () => {
  const names = { action: "action", errnoRet: "errnoRet" };
  assert.is(actionWord("SCMP_ACT_ERRNO", 0, names), 0x00050000);
  assert.is(actionWord("SCMP_ACT_ERRNO", undefined, names), 0x00050001);
});

seccomp("keeps a compiled filter in a file that only its owner can write, and uses it", () => {
  const cache = join(directory, "cache");
  const profile = denyAllBut({ names: ["getppid", "gettid", "getuid"], action: "SCMP_ACT_ALLOW" });
  const { filter } = compileSeccomp(profile, cache);
  const [key = ""] = readdirSync(cache);
  assert.is(statSync(join(cache, key)).mode & 0o777, 0o600);
  assert.equal(loadFilter(cache, key), filter);
});

seccomp("does not trust a kept filter that was changed, cut, renamed or made writable for others", () => {
  const cache = join(directory, "cache2");
  const filter = compileSeccomp(denyAllBut(), undefined).filter;
  const damage: [string, (path: string) => void][] = [
    ["changed", (path) => writeFileSync(path, readFileSync(path).fill(6, 40, 41))],
    ["cut", (path) => writeFileSync(path, readFileSync(path).subarray(0, -8))],
    ["empty", (path) => writeFileSync(path, "")],
    ["writable", (path) => chmodSync(path, 0o666)],
  ];
  for (const [key, harm] of damage) {
    assert.is(storeFilter(cache, key, filter), true);
    assert.equal(loadFilter(cache, key), filter);
    harm(join(cache, key));
    assert.is(loadFilter(cache, key), undefined, key);
  }
  storeFilter(cache, "one", filter);
  writeFileSync(join(cache, "two"), readFileSync(join(cache, "one")), { mode: 0o600 });
  assert.is(loadFilter(cache, "two"), undefined);
});

seccomp("compiles all the same when the cache cannot be written", () => {
  const file = join(directory, "a-file");
  writeFileSync(file, "");
  const profile = denyAllBut({ names: ["getppid", "getgid"], action: "SCMP_ACT_ALLOW" });
  assert.ok(compileSeccomp(profile, join(file, "cache")).filter.length > 0);
});

seccomp.run();
