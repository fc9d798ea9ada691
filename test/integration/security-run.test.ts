/** A guest of `tandem run` that has broken out of V8: what its process asks of the kernel, by its streams and without them. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { refusedCalls } from "./refused-calls.ts";
import { guestOf, type Runner, RunningGuest, runTandem, tandem } from "./run-guest.ts";
import { Runners } from "./runners.ts";
import { type Call, descriptorsOf, Tracer } from "./system-calls-in.ts";

const security = suite("a hostile guest of tandem run");
let runners: Runners;
let tracer: Tracer;

security.before(async () => {
  runners = await Runners.create();
  tracer = new Tracer();
});
security.after(async () => {
  tracer.remove();
  await runners[Symbol.asyncDispose]();
});

function both(name: string, body: (runner: Runner) => Promise<void>): void {
  security(name, async () => {
    for (const runner of runners.all) await body(runner);
  });
}

both("gets nothing by asking the kernel", async (runner) => {
  const options = ["--dir", `${runners.directory}::/d`];
  await runners.withGuest(runner, options, (pid) => {
    const results = tracer.callsIn(pid, ...refusedCalls.map(([, call]) => call));
    for (const [index, [why, , expected]] of refusedCalls.entries())
      assert.ok(expected.includes(results[index] ?? ""), `${runner.name}: ${why}: ${results[index]}`);
  });
});

for (const [what, call] of [
  ["to be another program", ["execve", "@/fs/x", 0, 0]],
  ["to be one without a name", ["execveat", 1, "@", 0, 0, 0x1000]],
  ["to trace", ["ptrace", 16, 1, 0, 0]],
  ["for another's memory", ["process_vm_readv", 1, "*16", 1, "*16", 1, 0]],
  ["for another's descriptor", ["pidfd_getfd", 1, 0, 0]],
  ["to handle page faults", ["userfaultfd", 0]],
  ["for another table of segments", ["modify_ldt", 0, "*16", 16]],
  ["for a call of 32-bit programs", ["int80:20"]],
  ["for a call of x32", [0x40000000 + 39]],
] as const satisfies readonly (readonly [string, Call])[]) {
  both(`dies by asking ${what}`, async (runner) => {
    const running = await RunningGuest.begin(runner, [runners.guest, "wait"]);
    assert.equal(tracer.callsIn(running.guest, call), ["SIGSYS"], runner.name);
    const status = await running.exited;
    assert.ok(status === 159 || status === 137, `killed: ${status}`);
  });
}

both(
  "has three streams, and no descriptor of the command's, the server's or the zygote's",
  async (runner) => {
    await runners.withGuest(runner, [], (pid) => {
      const others = [...descriptorsOf(pid)].filter(([fd]) => fd > 2).map(([, target]) => target);
      for (const target of others) assert.match(target, /^(pipe:\[\d+\]|anon_inode:\[event(fd|poll)\])$/);
    });
  },
);

/** A guest in a terminal: of the processes that script(1) starts one is the command. */
async function inTerminal(runner: Runner, use: (pid: number) => void): Promise<void> {
  const words = runner.command([tandem, "run", runners.guest, "wait"]).map((word) => `'${word}'`);
  const child = spawn("script", ["-qec", `exec ${words.join(" ")}`, "/dev/null"], {
    cwd: "/",
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  try {
    const client = await untilWaiting(child);
    use(guestOf(client));
  } finally {
    child.stdin?.end("\x03");
    await exited;
  }
}

/** Resolves with the command's pid once its guest has said that it waits. */
async function untilWaiting(child: ChildProcess): Promise<number> {
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  await waitFor(() => output.includes("waiting"), 60_000, "the guest's first line");
  return Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "latin1").trim());
}

both("cannot type into its terminal, take it over or change it", async (runner) => {
  await inTerminal(runner, (pid) => {
    const [TCSETS, TIOCSCTTY, TIOCSPGRP, TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD, TIOCGWINSZ] = [
      0x5402, 0x540e, 0x5410, 0x5412, 0x541c, 0x541d, 0x5423, 0x5413,
    ];
    const results = tracer.callsIn(
      pid,
      ["ioctl", 0, TIOCGWINSZ, "*8"],
      ["ioctl", 0, TIOCSTI, "@x"],
      ["ioctl", 0, TIOCLINUX, "%02"],
      ["ioctl", 0, TIOCSPGRP, "%01000000"],
      ["ioctl", 0, TIOCSCTTY, 1],
      ["ioctl", 0, TCSETS, "*64"],
      ["ioctl", 0, TIOCCONS, 0],
      ["ioctl", 0, TIOCSETD, "*4"],
      // The kernel looks at 32 bits of the request.
      ["ioctl", 0, `0x1${TIOCSTI.toString(16).padStart(8, "0")}`, "@x"],
    );
    assert.equal(results, ["0", ...new Array<string>(8).fill("EPERM")], runner.name);
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const [, , , session, terminal] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    assert.equal([session, terminal], [String(pid), "0"], "it is no terminal of its session");
  });
});

security("cannot change whose and which file its output is, or read what it may only write", async () => {
  const [runner] = runners.all;
  if (runner === undefined) return;
  const log = join(runners.directory, "log");
  writeFileSync(log, "before\n", { mode: 0o600 });
  const before = statSync(log);
  const output = openSync(log, "a");
  const [program, ...rest] = runner.command([tandem, "run", runners.guest, "wait"]);
  const child = spawn(program, rest, { cwd: "/", stdio: ["ignore", output, "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  closeSync(output);
  try {
    await waitFor(() => readFileSync(log, "utf8").includes("waiting"), 60_000, "the guest's first line");
    const calls: readonly (readonly [Call, string])[] = [
      [["fchmod", 1, 0o4777], "EPERM"],
      [["fchown", 1, 1, 1], "EPERM"],
      [["fsetxattr", 1, "@user.x", "@x", 1, 0], "EPERM"],
      [["pread64", 1, "*8", 8, 0], "EBADF"],
      [["mmap", 0, 4096, 1, 1, 1, 0], "EACCES"],
      [["openat", 1, "@", 0], "ENOENT"],
      [["openat", -100, "@/proc/self/fd/1", 2], "ENOENT"],
      [["openat", -100, "@/dev/stdout", 2], "ENOENT"],
      [["fcntl", 1, 1024, 1], "EPERM"],
    ];
    const results = tracer.callsIn(guestOf(child.pid ?? 0), ...calls.map(([call]) => call));
    for (const [index, [call, expected]] of calls.entries()) {
      const allowed = expected === "ENOENT" ? ["ENOENT", "EACCES"] : [expected];
      assert.ok(allowed.includes(results[index] ?? ""), `${call.join(" ")}: ${results[index]}`);
    }
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
  const after = statSync(log);
  assert.equal([after.mode, after.uid, after.ino], [before.mode, before.uid, before.ino]);
});

both("is not given a directory as a stream", async (runner) => {
  const [program, ...rest] = runner.command(["sh", "-c", `exec "$0" run "$1" </etc`, tandem, runners.guest]);
  const child = spawn(program, rest, { cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const status = await new Promise((resolve) => child.once("close", resolve));
  assert.equal([status, said], [126, "tandem run: stdin: is a directory\n"], runner.name);
});

both("is no file that would hold up the server, or be the server's own", async (runner) => {
  const fifo = join(runners.directory, `fifo-${runner.uid}`);
  const made = spawn("mkfifo", ["-m", "666", fifo]);
  await new Promise((resolve) => made.once("exit", resolve));
  for (const path of [fifo, "/dev/zero", "/etc", "/proc/self/mem", "/proc/self/environ", "/proc/kmsg"]) {
    const { status, stderr } = await runTandem(runner, ["run", path]);
    // A user may not open the kernel's log at all.
    const expected = path === "/proc/kmsg" && runner.uid !== 0 ? 125 : 126;
    assert.equal([status, stderr.split("\n").length], [expected, 2], `${runner.name} ${path}: ${stderr}`);
  }
});

if (Tracer.isPossible) security.run();
