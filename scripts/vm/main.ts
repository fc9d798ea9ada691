/**
 * `npm run test:vm [-- part of a path…]`: the tests that need a machine with cgroup v2 and systemd, in a virtual one.
 *
 * Debian's cloud kernel on qemu, emulated in software: KVM inside another machine may be there and not work. TEST_VM_ACCEL=kvm is for
 * those who know better. Ends like scripts/test.ts, with the line `N passed, N failed` and an exit code that says the same.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const vm = join(here, "../../.cache/vm");
const consoleLog = join(vm, "console.log");

/** Parts of paths below test/: what depends on the machine's cgroups, and one containerd's whole round. */
const usualTests = [
  "integration/cgroup",
  "integration/systemd",
  "integration/linux-executor",
  "integration/lifecycle",
];

/** Emulated, one test file takes minutes; a machine that says nothing at all for so long is stuck. */
const limits = { totalMs: 5_400_000, silentMs: 900_000 };

interface Outcome {
  /** The last line of the tests, or undefined when the machine went without it. */
  readonly summary: string | undefined;
  readonly reason: string;
}

function qemu(tests: readonly string[], tree: string): ChildProcess {
  // The cloud kernel has NVMe built in; what is written is forgotten.
  const disk = (name: string, file: string): string[] => [
    ...["-drive", `if=none,id=${name},file=${file},format=raw,snapshot=on,cache=unsafe`],
    ...["-device", `nvme,serial=${name},drive=${name}`],
  ];
  const kernel = [
    "root=/dev/nvme0n1 rw console=ttyS0 quiet panic=-1 mitigations=off fsck.mode=skip",
    "systemd.unified_cgroup_hierarchy=1 systemd.show_status=0 rcupdate.rcu_expedited=1",
    `tandem.tests=${tests.join(",")}`,
  ];
  const machine = "-nodefaults -display none -no-reboot -cpu max,-arch-capabilities -smp 2 -m 3072";
  return spawn(
    "qemu-system-x86_64",
    [
      ...machine.split(" "),
      ...["-accel", process.env["TEST_VM_ACCEL"] ?? "tcg,thread=multi"],
      ...disk("root", join(vm, "root.ext4")),
      ...disk("tree", tree),
      ...["-kernel", join(vm, "vmlinuz"), "-append", kernel.join(" ")],
      ...["-serial", `file:${consoleLog}`, "-serial", "stdio"],
    ],
    { stdio: ["ignore", "pipe", openSync(join(vm, "qemu.log"), "w")] },
  );
}

/** Prints what the machine says until it is gone. */
async function follow(machine: ChildProcess): Promise<Outcome> {
  let summary: string | undefined;
  let reason = "the machine ended before its tests";
  const stop = (why: string): void => {
    reason = why;
    machine.kill("SIGKILL");
  };
  const total = setTimeout(() => stop(`not done after ${limits.totalMs / 60_000} minutes`), limits.totalMs);
  let silent: NodeJS.Timeout | undefined;
  const heard = (): void => {
    clearTimeout(silent);
    silent = setTimeout(() => stop(`silent for ${limits.silentMs / 60_000} minutes`), limits.silentMs);
  };
  heard();
  const gone = new Promise<void>((resolve, reject) =>
    machine.once("close", () => resolve()).once("error", reject),
  );
  if (machine.stdout === null) throw new Error("qemu has no output");
  for await (const line of createInterface({ input: machine.stdout })) {
    heard();
    const text = line.replace(/\r$/, "");
    if (/^\d+ passed, \d+ failed/.test(text)) summary = text;
    else print(text);
  }
  await gone;
  clearTimeout(total);
  clearTimeout(silent);
  return { summary, reason };
}

function print(text: string): void {
  writeSync(1, `${text}\n`);
}

function tailOf(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(-20).join("\n") : "";
}

execFileSync(join(here, "build-root"), { stdio: "inherit" });
const tree = join(vm, `tree-${process.pid}.ext4`);
let outcome: Outcome;
try {
  print("vm: this tree");
  execFileSync(join(here, "build-tree"), [tree], { stdio: "inherit" });
  const wanted = process.argv.slice(2);
  outcome = await follow(qemu(wanted.length > 0 ? wanted : usualTests, tree));
} finally {
  rmSync(tree, { force: true });
}
if (outcome.summary === undefined) {
  print(`vm: ${outcome.reason}\n${tailOf(join(vm, "qemu.log"))}\n${tailOf(consoleLog)}`);
  print("0 passed, 1 failed");
  process.exitCode = 1;
} else {
  print(outcome.summary);
  process.exitCode = /^[1-9]\d* passed, 0 failed/.test(outcome.summary) ? 0 : 1;
}
