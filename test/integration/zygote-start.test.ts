/** A zygote that is killed, or hangs, while it rehearses: what it leaves behind is taken down, and another serves without a rehearsal. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { patience } from "../../scripts/private-containerd/patience.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { exitOf, OciCommands } from "./oci-commands.ts";

const launcher = join(import.meta.dirname, "../../dist/bin/containerd-shim-tandem-v1");

interface Start {
  readonly oci: OciCommands;
  readonly launcher: ChildProcess;
  /** Stopped, in the middle of a container. */
  readonly zygote: number;
  /** The zygote's parent. */
  readonly monitor: number;
  /** All of the rehearsal: the zygote, those that it forked, the container's. */
  readonly pids: readonly number[];
}

const zygotes = suite<{ oci: OciCommands; stopped: number[] }>("the start of a zygote");

zygotes.before.each((context) => {
  context.oci = new OciCommands();
  context.stopped = [];
});
zygotes.after.each(async ({ oci, stopped }) => {
  for (const pid of stopped) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  await oci[Symbol.asyncDispose]();
});

/** Field 4 of /proc/<pid>/stat; 0 for one that has gone. */
function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return 0;
  }
}

/** Not one that only waits for its parent to notice. */
function isAlive(pid: number): boolean {
  return parentOf(pid) !== 0 && existsSync(`/proc/${pid}/exe`);
}

function pidsOnMachine(): number[] {
  return readdirSync("/proc").map(Number).filter(Boolean);
}

/** Forked children have their parent's command line. */
function withCommandLine(part: string): number[] {
  return pidsOnMachine().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(part);
    } catch {
      return false; // gone
    }
  });
}

function withDescendants(first: number): number[] {
  const all = [first];
  const parents = pidsOnMachine().map((pid) => [pid, parentOf(pid)] as const);
  for (const one of all) all.push(...parents.filter(([, parent]) => parent === one).map(([pid]) => pid));
  return all;
}

function mountsBelow(directory: string): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.filter((line) => line.split(" ")[4]?.startsWith(`${directory}/`));
}

/** Starts a zygote and stops it while it has a container's root mounted. */
async function stopInRehearsal(oci: OciCommands, stopped: number[]): Promise<Start> {
  const child = spawn(launcher, ["zygote"], {
    env: { ...process.env, ...oci.environment },
    stdio: "ignore",
  });
  const isMounted = (): boolean => mountsBelow(oci.runDirectory).length > 0;
  const [zygote, monitor] = await waitFor(
    () => {
      if (!isMounted()) return undefined;
      // The first of them is nobody's child of theirs.
      const all = withCommandLine(`\0zygote\0${oci.runDirectory}/z/`);
      const first = all.find((pid) => !all.includes(parentOf(pid)));
      if (first === undefined) return undefined;
      process.kill(first, "SIGSTOP");
      if (isMounted()) return [first, parentOf(first)] as const;
      process.kill(first, "SIGCONT");
      return undefined;
    },
    20_000,
    "a zygote that rehearses",
  );
  stopped.push(zygote);
  return { oci, launcher: child, zygote, monitor, pids: withDescendants(zygote) };
}

async function assertClean({ oci, zygote, pids }: Start): Promise<void> {
  await waitFor(() => !pids.some(isAlive), 5000, `the end of ${pids.join(", ")}`);
  assert.equal(mountsBelow(oci.runDirectory), []);
  assert.equal(globSync(join(oci.runDirectory, "z/*/rehearsal")), []);
  assert.equal(globSync(`/sys/fs/cgroup/{*/,}tandem-rehearsal-${zygote}/`), [], logOf(oci));
}

function logOf(oci: OciCommands): string {
  return globSync(join(oci.runDirectory, "z/*/zygote.log"))
    .map((path) => readFileSync(path, "utf8"))
    .join("");
}

async function assertServes(oci: OciCommands): Promise<void> {
  const bundle = oci.bundle("echo served");
  const output = await oci.begin("after", bundle);
  await oci.waitForStatus("after", "stopped");
  assert.is(readFileSync(output, "utf8"), "served\n");
  await oci.ok("delete", "after");
}

zygotes("that is killed while it rehearses: another serves, nothing is left", async ({ oci, stopped }) => {
  const start = await stopInRehearsal(oci, stopped);
  assert.ok(start.pids.length > 1, "it has forked");
  process.kill(start.zygote, "SIGKILL");
  assert.is(await exitOf(start.launcher), 0, logOf(oci));
  assert.match(
    logOf(oci),
    /zygote: killed by signal 9 before it was ready, started again without a rehearsal/,
  );
  await assertClean(start);
  await assertServes(oci);
});

zygotes("that hangs while it rehearses is ended, and another serves", async ({ oci, stopped }) => {
  const start = await stopInRehearsal(oci, stopped);
  // The monitor's own patience is 30 s on every machine.
  await waitFor(() => !isAlive(start.zygote), 45_000 / patience, "the end of the zygote that hangs");
  assert.is(await exitOf(start.launcher), 0, logOf(oci));
  assert.match(logOf(oci), /zygote: not ready after 30 s, started again without a rehearsal/);
  await assertClean(start);
  await assertServes(oci);
});

zygotes("after one that was killed with its monitor clears up for it", async ({ oci, stopped }) => {
  const start = await stopInRehearsal(oci, stopped);
  process.kill(start.monitor, "SIGKILL");
  process.kill(start.zygote, "SIGKILL");
  assert.is(await exitOf(start.launcher), 1);
  await assertServes(oci);
  await assertClean(start);
  assert.not.match(logOf(oci), /rehearsal failed|without a rehearsal/);
});

zygotes.run();
