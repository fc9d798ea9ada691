/**
 * A guest that has broken out of V8: native code in a wasm process, played by system calls that a tracer makes in its place
 * (test/security/fixtures/syscall-in.c). Each way out must be closed by the kernel, not by Node.
 */
import { existsSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { availableGenerations } from "../../scripts/private-containerd/containerd.ts";
import { LONGEST_STATUS_LINE } from "../../wasm-host/status-line.ts";
import { isAlive, parentOf, statusOf } from "./lifecycle/proc.ts";
import { tandemWasm } from "./lifecycle/runtimes.ts";
import { Scene } from "./lifecycle/scene.ts";
import { refusedCalls } from "./refused-calls.ts";
import { type Call, descriptorsOf, holds, Tracer } from "./system-calls-in.ts";

const security = suite("a guest that has broken out of V8");
const generation = availableGenerations().find((one) => one === "2.1") ?? availableGenerations()[0];
let tracer: Tracer;
let scene: Scene;

security.before(async () => {
  if (generation === undefined) throw new Error("no containerd on this machine");
  tracer = new Tracer();
  scene = await Scene.open({ generation });
});
security.after(async () => {
  await scene[Symbol.asyncDispose]();
  tracer.remove();
});

async function sleeping(env: readonly string[] = [], mounts: readonly object[] = []) {
  const container = scene.container(tandemWasm, { args: tandemWasm.programs.sleep, env, mounts });
  const pid = await container.run();
  await container.stdout.shows("sleeping\n");
  return { container, pid };
}

const O_DIRECTORY = 0o200000;
security("gets nothing by asking the kernel", async () => {
  const { container, pid } = await sleeping();
  await using _ = container;
  const results = tracer.callsIn(pid, ...refusedCalls.map(([, call]) => call));
  for (const [index, [why, , expected]] of refusedCalls.entries())
    assert.ok(expected.includes(results[index] ?? ""), `${why}: ${results[index]}`);
});

for (const name of [
  "execve",
  "ptrace",
  "setns",
  "unshare",
  "mount",
  "bpf",
  "keyctl",
  "userfaultfd",
  "open_by_handle_at",
]) {
  security(`dies by asking for ${name}`, async () => {
    const { container, pid } = await sleeping();
    await using _ = container;
    assert.equal(tracer.callsIn(pid, [name]), ["SIGSYS"]);
    // 128 + SIGSYS where the kernel tells how a process ended (Linux 6.15); the end of its tracer may come first, as SIGKILL.
    const status = await container.wait();
    assert.ok(status === 159 || status === 137, `killed, without a word of its own: ${status}`);
  });
}

security("gets none of the kernel's own file systems by a volume of the machine's", async () => {
  const { container, pid } = await sleeping(undefined, [
    { destination: "/host", type: "bind", source: "/", options: ["rbind"] },
    { destination: "/kernel", type: "bind", source: "/proc", options: ["bind"] },
  ]);
  await using _ = container;
  const open = (path: string, flags = 0): Call => ["openat", -100, `@/fs${path}`, flags];
  const [there, ...results] = tracer.callsIn(
    pid,
    open("/host/etc/passwd"),
    open("/host/proc/self/mem", 2),
    open("/host/proc/sys/kernel/core_pattern", 1),
    open("/host/sys/kernel"),
    open("/kernel/self/mem", 2),
    open("/kernel/1/environ"),
  );
  assert.match(there ?? "", /^\d+$/);
  assert.equal(results, new Array<string>(5).fill("ENOENT"));
});

security("has its streams, its root, its event loop and no descriptor of the zygote's", async () => {
  const { container, pid } = await sleeping();
  await using _ = container;
  const own = descriptorsOf(pid);
  const fifos = join(scene.containerd.directory, "fifos");
  for (const [fd, target] of own)
    assert.match(
      target,
      fd <= 2
        ? new RegExp(`^(${fifos}/.*|/dev/null)$`)
        : /^(\/fs|pipe:\[\d+\]|anon_inode:\[event(fd|poll)\])$/,
      `${fd}`,
    );
  // What both have would be a way in: an epoll set, a pipe. Those without a number are asked below.
  const zygote = [...descriptorsOf(parentOf(pid)).values()].filter((target) => target.startsWith("pipe:"));
  for (const target of own.values()) assert.not(zygote.includes(target), target);
  assert.equal([...own.values()].filter((target) => target === "/fs").length, 1);
});

security("shares no epoll set with the zygote: what it adds wakes nobody", async () => {
  const { container, pid } = await sleeping();
  await using _ = container;
  const zygote = parentOf(pid);
  const entries = (of: number): string => {
    const sets = [...descriptorsOf(of)].filter(([, target]) => target.includes("eventpoll"));
    return sets.map(([fd]) => readFileSync(`/proc/${of}/fdinfo/${fd}`, "utf8")).join();
  };
  const before = entries(zygote);
  const sets = [...descriptorsOf(pid)].filter(([, target]) => target.includes("eventpoll"));
  // The event's bytes say EPOLLIN and a descriptor that libuv does not have.
  for (const [fd] of sets) tracer.callsIn(pid, ["epoll_ctl", fd, 1, 1, "@AAAABBBBBBBB"]);
  assert.is(entries(zygote), before);
  assert.ok(isAlive(zygote));
});

security("is in a process group of its own: kill(0) reaches itself only", async () => {
  const { container, pid } = await sleeping();
  await using _ = container;
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const [, , group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  assert.equal([group, session], [String(pid), String(pid)]);
});

security("has no right left", async () => {
  const { container, pid } = await sleeping();
  await using _ = container;
  const { CapInh, CapPrm, CapEff, CapBnd, CapAmb, NoNewPrivs, Seccomp, Threads } = statusOf(pid);
  for (const set of [CapInh, CapPrm, CapEff, CapBnd, CapAmb]) assert.is(set, "0".repeat(16));
  assert.equal([NoNewPrivs, Seccomp, Threads], ["1", "2", "1"]);
  for (const type of ["mnt", "pid", "ipc", "net", "uts"])
    assert.is.not(
      readlinkSync(`/proc/${pid}/ns/${type}`),
      readlinkSync(`/proc/${parentOf(pid)}/ns/${type}`),
      type,
    );
});

security("finds no other container's secrets in its memory, nor does the zygote keep any", async () => {
  const secret = `secret-${process.pid}-of-the-neighbour`;
  const neighbour = await sleeping([`PASSWORD=${secret}`]);
  await using _neighbour = neighbour.container;
  assert.ok(holds(neighbour.pid, secret), "the test finds what is there");
  const others = [await sleeping(), await sleeping(), await sleeping()];
  try {
    for (const { pid } of others) assert.not(holds(pid, secret), `wasm process ${pid}`);
    assert.not(holds(parentOf(neighbour.pid), secret), "zygote");
  } finally {
    for (const { container } of others) await container.remove();
  }
});

function statusPipeOf(pid: number): number {
  return Math.max(
    ...[...descriptorsOf(pid)].filter(([, target]) => target.startsWith("pipe:")).map(([fd]) => fd),
  );
}

for (const [what, call] of [
  ["garbage", (pipe: number): Call => ["write", pipe, "@garbage\n", 8]],
  ["a second ready", (pipe: number): Call => ["write", pipe, '@{"ready":true}\n', 15]],
  ["its end, and lives on", (pipe: number): Call => ["close", pipe]],
] as const) {
  security(`is killed when it gives the shim ${what}`, async () => {
    const { container, pid } = await sleeping();
    await using _ = container;
    tracer.lastCallIn(pid, call(statusPipeOf(pid)));
    assert.is(await container.wait(), 137);
    assert.not(isAlive(pid));
  });
}

security("is killed when it gives the shim a line without an end", async () => {
  const { container, pid } = await sleeping();
  await using _ = container;
  const write: Call = ["write", statusPipeOf(pid), "*12000", 12_000];
  const writes = Math.ceil(LONGEST_STATUS_LINE / 12_000);
  tracer.callsIn(pid, ...new Array<Call>(writes - 1).fill(write));
  assert.ok(isAlive(pid), "as long as it may be a line");
  tracer.lastCallIn(pid, write);
  assert.is(await container.wait(), 137);
  assert.not(isAlive(pid));
});

security("cannot make another status than its own last one", async () => {
  const { container, pid } = await sleeping();
  await using _ = container;
  const pipe = statusPipeOf(pid);
  tracer.callsIn(pid, ["write", pipe, '@{"exit":3}\n', 11], ["write", pipe, '@{"exit":0}\n', 11]);
  assert.is(await container.wait(), 3);
});

security("leaves the machine's /dev/null as it was", async () => {
  const { mode, uid } = statSync("/dev/null");
  const { container, pid } = await sleeping();
  await using _ = container;
  assert.is(readlinkSync(`/proc/${pid}/fd/0`), "/dev/null");
  const leadsOut: Call = ["openat", 0, "@..", O_DIRECTORY];
  assert.equal(tracer.callsIn(pid, ["fchmod", 0, 0], ["fchown", 0, 1, 1], leadsOut), [
    "EPERM",
    "EPERM",
    "ENOTDIR",
  ]);
  assert.equal([statSync("/dev/null").mode, statSync("/dev/null").uid], [mode, uid]);
  assert.ok(existsSync("/dev/null"));
});

if (Tracer.isPossible) security.run();
