import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { forkCompiler } from "../../src/executor/wasm-code.ts";
import { spawnWasm } from "../../src/executor/wasm-process.ts";
import { native } from "../../src/native.ts";
import { toGrantPlan, toIsolation } from "../../src/run/run-config.ts";
import { readRunRequest } from "../../src/run/run-request.ts";
import type { ZygoteAddress } from "../../src/zygote/client.ts";
import type { WasmConfig } from "../../wasm-host/config.ts";
import { machineResolver } from "../../wasm-host/network/read-resolver-files.ts";
import type { Program } from "./programs.ts";

/** What runs a program. */
export interface System {
  readonly name: string;
  readonly description: string;
  /** Before a run, not counted: takes away or brings what the run is to find. */
  prepare(program: Program): Promise<void>;
  /** From the request to the end. @returns what it printed */
  run(program: Program, cgroup: string): Promise<string>;
}

export interface Absent {
  readonly name: string;
  readonly reason: string;
}

export interface Places {
  readonly dist: string;
  readonly directory: string;
  readonly runDirectory: string;
  readonly wasmtime: string;
}

export function findSystems(places: Places): { systems: System[]; absent: Absent[] } {
  const absent: Absent[] = [];
  const systems: System[] = [nativeSystem];
  if (existsSync(places.wasmtime)) systems.push(...wasmtimeSystems(places));
  else absent.push({ name: "wasmtime", reason: `no ${places.wasmtime}: see --wasmtime` });
  systems.push(...tandemSystems(places));
  return { systems, absent };
}

const nativeSystem: System = {
  name: "native",
  description: "cc -O2",
  prepare: async () => undefined,
  run: (program, cgroup) => runCommand([program.native], cgroup, {}),
};

/** Its own cache of compiled modules, in a directory of the run's; without it "cold". */
function wasmtimeSystems({ wasmtime, directory }: Places): System[] {
  const version = spawnSync(wasmtime, ["--version"], { encoding: "utf8" }).stdout.trim();
  const environment = { HOME: directory, XDG_CACHE_HOME: join(directory, "wasmtime-cache") };
  const run = (cache: string) => (program: Program, cgroup: string) =>
    runCommand([wasmtime, "run", "-C", `cache=${cache}`, program.wasm], cgroup, environment);
  const kept = new Set<string>();
  return [
    {
      name: "wasmtime-cold",
      description: `${version}, no cache`,
      prepare: async () => undefined,
      run: run("n"),
    },
    {
      name: "wasmtime",
      description: `${version}, the module in its cache`,
      prepare: async (program) => {
        if (!kept.has(program.name))
          spawnSync(wasmtime, ["run", "-C", "cache=y", program.wasm], {
            env: { ...process.env, ...environment },
          });
        kept.add(program.name);
      },
      run: run("y"),
    },
  ];
}

/** In a process of the zygote's, as a container's is, without a shim before it. */
function tandemSystems({ dist, directory, runDirectory }: Places): System[] {
  const launcher = join(dist, "bin/containerd-shim-tandem-v1");
  const state = join(directory, "state");
  const environment = { TANDEM_RUN_DIR: runDirectory, TANDEM_STATE_DIR: state };
  const started = spawnSync(launcher, ["zygote"], {
    encoding: "utf8",
    env: { ...process.env, ...environment },
  });
  if (started.status !== 0) throw new Error(`zygote: ${started.stderr}`);
  const zygote: ZygoteAddress = { socket: started.stdout.trim(), launcher };
  const run = (program: Program, cgroup: string): Promise<string> => runGuest(zygote, program, cgroup);
  return [
    {
      name: "tandem-cold",
      description: "Tandem, a first start: no code is kept",
      prepare: async () => rmSync(join(state, "code"), { recursive: true, force: true }),
      run,
    },
    {
      name: "tandem",
      description: "Tandem, the code of an earlier start is kept",
      prepare: async (program) => {
        const { pidfd, done } = forkCompiler(zygote, configOf(program, "").workload, { whole: true });
        closeSync(done);
        native.waitReadable(pidfd, -1);
        closeSync(pidfd);
      },
      run,
    },
  ];
}

async function runGuest(zygote: ZygoteAddress, program: Program, cgroup: string): Promise<string> {
  const [read, write] = native.pipe();
  const nothing = openSync("/dev/null", "r+");
  try {
    const guest = await spawnWasm(zygote, {
      config: configOf(program, cgroup),
      stdio: { stdin: nothing, stdout: write, stderr: write },
      pidNamespace: "new",
      signal: new AbortController().signal,
    });
    closeSync(write);
    await guest.start();
    const { status } = await guest.exited;
    const text = readFileSync(read, "utf8");
    if (status !== 0) throw new Error(`${program.name}: status ${status}: ${text}`);
    return text;
  } finally {
    for (const fd of [nothing, read]) closeSync(fd);
  }
}

function configOf(program: Program, cgroup: string): WasmConfig {
  const request = readRunRequest([program.wasm], { env: new Map(), exists: existsSync });
  if (request === "help") throw new Error("not a request to run");
  const grant = toGrantPlan(request, "/", 0);
  const cgroupFiles = cgroup === "" ? [] : [cgroup];
  return {
    id: program.name,
    workload: { form: "module", file: ["/", program.wasm], export: undefined },
    grant,
    listeners: 0,
    http: { port: 8080 },
    resolver: machineResolver,
    isolation: toIsolation(grant, { umask: 0o022, cgroupFiles, rlimits: [], user: undefined }),
  };
}

/** By way of a shell, which moves itself into the cgroup before it becomes the program: a millisecond. */
function runCommand(
  command: readonly string[],
  cgroup: string,
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn("/bin/sh", ["-c", 'echo 0 >"$0"; exec "$@"', cgroup, ...command], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  child.on("error", reject);
  child.on("close", (status) => {
    if (status === 0) resolve(text);
    else reject(new Error(`${command.join(" ")}: status ${status}: ${complaint}`));
  });
  return promise;
}
