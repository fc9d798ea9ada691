import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, Server } from "ttrpc-ts";
import { Task } from "../../src/api/gen/containerd/task/v3/task_pb.ts";
import { native } from "../../src/native.ts";
import type { MicroResult } from "../report/tables.ts";
import { quantile } from "../statistics.ts";

/** The parts that a cold start is made of, each on its own. `lib` is an installed Tandem's dist/lib/tandem. */
export async function measureParts(lib: string, directory: string): Promise<MicroResult[]> {
  return [
    ...(await measureTtrpc(join(directory, "micro.sock"))),
    {
      name: "fork of a Node with the zygote's options, until JavaScript runs in the child",
      value: measureFork(lib),
    },
    { name: "container-init without a plan, clone3 to exit", value: measureInit(lib) },
    { name: "exec of an empty static program by the driver (in every row)", value: await measureSpawn(lib) },
  ];
}

const CALLS = 20_000;

/** ttrpc-ts against itself: both ends share one thread, so that this is what a call costs in all. */
async function measureTtrpc(path: string): Promise<MicroResult[]> {
  const server = new Server().service(Task, { state: ({ id }) => ({ id, pid: 1 }) });
  await server.listen({ path });
  const client = await connect(path);
  const task = client.service(Task);
  const perSecond = async (atOnce: number): Promise<number> => {
    const begin = performance.now();
    let left = CALLS;
    const work = async (): Promise<void> => {
      while (left-- > 0) await task.state({ id: "x" });
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return CALLS / ((performance.now() - begin) / 1000);
  };
  await perSecond(8);
  const results = [];
  for (const atOnce of [1, 64])
    results.push({
      name: `ttrpc-ts, unary calls, ${atOnce} at once, both ends in one thread`,
      value: `${(await perSecond(atOnce)).toFixed(0)}/s`,
    });
  await client.close();
  await server.stop();
  return results;
}

function measureFork(lib: string): string {
  const program = fileURLToPath(new URL("fork-loop.ts", import.meta.url));
  const options = readFileSync(join(lib, "zygote.args"), "utf8").split("\n").filter(Boolean);
  const { stdout, stderr, status } = spawnSync(join(lib, "node"), [...options, program], {
    encoding: "utf8",
    env: { LD_PRELOAD: join(lib, "tandem-dofork.so") },
  });
  if (status !== 0) throw new Error(`fork-loop: status ${status}: ${stderr}`);
  return formatMilliseconds(JSON.parse(stdout) as number[]);
}

function measureInit(lib: string): string {
  const executable = native.sealExecutable(join(lib, "container-init"));
  const nothing = openSync("/dev/null", "r+");
  const spawnInit = (): void => {
    const { pidfd } = native.spawnInit({
      executable,
      stdio: [nothing, nothing, nothing],
      socket: nothing,
      cgroupFiles: [],
      cgroupDirectory: undefined,
      newNamespaces: 0,
      joinNamespaces: [],
    });
    native.waitReadable(pidfd, 1000);
    native.waitPidfd(pidfd);
    closeSync(pidfd);
  };
  const times = timeEach(50, spawnInit);
  closeSync(nothing);
  closeSync(executable);
  return formatMilliseconds(times);
}

/** The launcher with -v: no libraries, nothing done. The same way as `start` is run. */
async function measureSpawn(lib: string): Promise<string> {
  const launcher = join(lib, "../../bin/containerd-shim-tandem-v1");
  const times: number[] = [];
  for (let round = 0; round < 50; round++) {
    const begin = performance.now();
    await once(spawn(launcher, ["-v"], { stdio: ["pipe", "pipe", "pipe"] }), "close");
    times.push(performance.now() - begin);
  }
  return formatMilliseconds(times);
}

function timeEach(rounds: number, work: () => void): number[] {
  return Array.from({ length: rounds }, () => {
    const begin = performance.now();
    work();
    return performance.now() - begin;
  });
}

function formatMilliseconds(times: readonly number[]): string {
  return `${quantile(times, 0.5).toFixed(2)} ms (${quantile(times, 0).toFixed(2)}–${quantile(times, 0.95).toFixed(2)})`;
}
