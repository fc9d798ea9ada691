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
import { buildModule } from "../../examples/hello-wasm/build.ts";

const here = dirname(fileURLToPath(import.meta.url));
const vm = join(here, "../../.cache/vm");
const consoleLog = join(vm, "console.log");

type Cgroups = "unified" | "hybrid";

/**
 * The processors take turns on one thread. With a thread for each, qemu before 8.1 may translate code that another processor is
 * writing, and goes on executing what is only half there (qemu's commit deba78709ae8 locks such pages): of 180 starts of Node with
 * this tree's modules 29 died by SIGSEGV or a failed check of V8's, on one thread none of 40, and all of the tests take as long.
 */
const accelerator = process.env["TEST_VM_ACCEL"] ?? "tcg,thread=single";

/** Parts of paths below test/: what depends on the machine's cgroups, and one containerd's whole round. */
const usualTests: Readonly<Record<Cgroups, readonly string[]>> = {
  unified: [
    "integration/cgroup",
    "integration/systemd",
    "integration/linux-executor",
    "integration/lifecycle",
    "integration/zygote-start",
    // Debian's criu knows this kernel; what looks at cgroups, and changes them.
    "integration/oci-ch",
    "integration/oci-look",
  ],
  hybrid: ["integration/systemd-v1"],
};

/** Emulated, one test file takes minutes; a machine that says nothing at all for so long is stuck. */
const limits = { totalMs: 5_400_000, silentMs: 1_800_000 };

interface Outcome {
  /** The last line of the tests, or undefined when the machine went without it. */
  readonly summary: string | undefined;
  readonly reason: string;
}

function qemu(cgroups: Cgroups, tests: readonly string[], tree: string): ChildProcess {
  // The cloud kernel has NVMe built in; what is written is forgotten.
  const disk = (name: string, file: string): string[] => [
    ...["-drive", `if=none,id=${name},file=${file},format=raw,snapshot=on,cache=unsafe`],
    ...["-device", `nvme,serial=${name},drive=${name}`],
  ];
  const kernel = [
    "root=/dev/nvme0n1 rw console=ttyS0 quiet panic=-1 mitigations=off fsck.mode=skip",
    `systemd.unified_cgroup_hierarchy=${cgroups === "unified" ? 1 : 0} systemd.legacy_systemd_cgroup_controller=0`,
    "systemd.show_status=0 rcupdate.rcu_expedited=1",
    `tandem.tests=${tests.join(",")}`,
  ];
  const machine = "-nodefaults -display none -no-reboot -cpu max,-arch-capabilities -smp 2 -m 3072";
  return spawn(
    "qemu-system-x86_64",
    [
      ...machine.split(" "),
      ...["-accel", accelerator],
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
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop(`ended by ${signal}`));
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

/** The machine with cgroup v1 has only the tests that are for it. */
function testsFor(cgroups: Cgroups, wanted: readonly string[]): readonly string[] {
  const usual = usualTests[cgroups];
  if (wanted.length === 0) return usual;
  return cgroups === "unified" ? wanted : usual.filter((one) => wanted.some((part) => one.includes(part)));
}

/** One machine from its start to its end. */
async function run(
  cgroups: Cgroups,
  tests: readonly string[],
  tree: string,
): Promise<readonly [number, number]> {
  print(`vm: a machine with the ${cgroups} hierarchy`);
  const { summary, reason } = await follow(qemu(cgroups, tests, tree));
  const match = /^(\d+) passed, (\d+) failed/.exec(summary ?? "");
  if (match !== null) return [Number(match[1]), Number(match[2])];
  print(`vm: ${reason}\n${tailOf(join(vm, "qemu.log"))}\n${tailOf(consoleLog)}`);
  return [0, 1];
}

execFileSync(join(here, "build-root"), { stdio: "inherit" });
const wanted = process.argv.slice(2);
const tree = join(vm, `tree-${process.pid}.ext4`);
let [passed, failed] = [0, 0];
try {
  print("vm: this tree");
  // The machine has no compiler: the wasm module of the tests comes along in .cache/examples.
  await buildModule();
  execFileSync(join(here, "build-tree"), [tree], { stdio: "inherit" });
  for (const cgroups of ["unified", "hybrid"] as const) {
    const tests = testsFor(cgroups, wanted);
    if (tests.length === 0) continue;
    const [ok, bad] = await run(cgroups, tests, tree);
    passed += ok;
    failed += bad;
  }
} finally {
  rmSync(tree, { force: true });
}
print(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
