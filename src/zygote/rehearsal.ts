import { chmodSync, closeSync, constants, copyFileSync, mkdirSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, Server, type ServiceClient } from "ttrpc-ts";
import type { WasmConfig } from "../../wasm-host/config.ts";
import { isolateOptions, type WasmHost } from "../../wasm-host/isolation.ts";
import { becomeWasmProcess } from "../../wasm-host/main.ts";
import { prepareWorkload } from "../../wasm-host/workload.ts";
import { Events } from "../api/gen/containerd/services/events/ttrpc/v1/events_pb.ts";
import { Task } from "../api/gen/containerd/task/v2/task_pb.ts";
import { EventPublisher } from "../containerd/event-publisher.ts";
import { directories } from "../directories.ts";
import type { Log } from "../log.ts";
import { native } from "../native.ts";
import { createContainerDependencies } from "../shim/dependencies.ts";
import type { ShimHost } from "../shim/shim.ts";
import { serveTasks } from "../task/server.ts";
import { rehearsalModule } from "./rehearsal-module.ts";
import { rehearsalSpec } from "./rehearsal-spec.ts";
import { serveRequests } from "./zygote.ts";

/** Enough for V8 to have compiled what a shim runs; more makes the start of a zygote longer and a shim no faster. */
const ROUNDS = 12;

/**
 * Plays whole pods in the zygote itself, before the first fork: a real Linux and a real wasm container through the real service
 * over real sockets, with a containerd of our own at the other end of the events. Every child then finds the code compiled, the
 * shapes of objects known and the memory touched.
 *
 * The Linux program is container-init itself, which does nothing when nobody hands it a plan.
 */
export async function rehearse(shim: ShimHost, wasm: WasmHost, directory: string, log: Log): Promise<void> {
  const stage = new Stage(directory);
  const understudy = startUnderstudy(wasm, stage.zygote);
  const host = { ...shim, zygote: { ...shim.zygote, socket: stage.zygote } };
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await playPod(host, stage, log);
      playGuest(wasm, stage);
    }
  } finally {
    understudy.end();
    stage.clear();
  }
}

/** Stands in for the zygote, which is not serving yet: forks the rehearsed wasm processes. */
function startUnderstudy(wasm: WasmHost, socket: string): { end(): void } {
  const listener = native.listenSeqpacket(socket);
  const { pid, pidfd } = native.fork({});
  if (pid === 0) {
    native.autoReap();
    serveRequests(listener, { wasm: (fields, fds) => becomeWasmProcess(wasm, fields, fds) }, () => native.exitNow(0));
    native.exitNow(0);
  }
  closeSync(listener);
  return {
    end: () => {
      native.pidfdSendSignal(pidfd, 9);
      native.waitReadable(pidfd, -1);
      native.waitPidfd(pidfd);
      closeSync(pidfd);
    },
  };
}

/** What a wasm process does of its own, but for giving up its rights: those are the zygote's too. */
function playGuest(wasm: WasmHost, stage: Stage): void {
  const config = JSON.parse(JSON.stringify(stage.guest)) as WasmConfig;
  const stdio = openSync("/dev/null", "r+");
  const root = openSync(stage.snapshot, "r");
  const run = prepareWorkload(
    config,
    () => {
      const options = isolateOptions(wasm, config);
      for (const { fd } of options.mounts) closeSync(fd);
      return root;
    },
    // The guest closes its stdout, as a libc does at the end.
    { stdin: stdio, stdout: openSync("/dev/null", "w"), stderr: stdio },
  );
  const status = run();
  if (status !== 0) throw new Error(`rehearsed guest ended with ${String(status)}`);
  // Whatever stays open here would be open in every child.
  for (const fd of [root, stdio]) closeSync(fd);
}

/** The files that a rehearsal needs, in a directory of the zygote's own. */
class Stage {
  readonly bundle: string;
  readonly tasks: string;
  readonly events: string;
  readonly stdout: string;
  readonly zygote: string;
  readonly snapshot: string;
  readonly guest: WasmConfig;
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = join(directory, "rehearsal");
    rmSync(this.#directory, { recursive: true, force: true });
    this.bundle = join(this.#directory, "bundle");
    this.tasks = join(this.#directory, "task.sock");
    this.events = join(this.#directory, "events.sock");
    this.stdout = join(this.#directory, "stdout");
    this.zygote = join(this.#directory, "zygote.sock");
    this.snapshot = join(this.#directory, "snapshot");
    const { snapshot } = this;
    for (const path of ["bin", "proc", "sys", "dev", "run"]) mkdirSync(join(snapshot, path), { recursive: true });
    mkdirSync(join(this.bundle, "rootfs"), { recursive: true });
    copyFileSync(join(directories.lib, "container-init"), join(snapshot, "bin/program"));
    chmodSync(join(snapshot, "bin/program"), 0o755);
    writeFileSync(join(snapshot, "module.wasm"), rehearsalModule);
    native.makeFifo(this.stdout);
    this.guest = {
      id: "rehearsal",
      workload: { form: "module", file: { inRootfs: "/module.wasm" }, export: undefined },
      args: ["/module.wasm"],
      env: ["PATH=/usr/bin:/bin"],
      rootfs: snapshot,
      readonlyRootfs: false,
      mounts: [{ target: "/run", source: { tmpfs: ["mode=755", "size=65536k"] }, readonly: false }],
      isolation: {
        cgroupFiles: [],
        oomScoreAdj: 0,
        rlimits: [[7, "1024", "1024"]],
        joinNamespaces: [],
        unshare: 0,
        hostname: undefined,
        umask: 0o022,
        user: { uid: 0, gid: 0, additionalGids: [0] },
      },
      httpPort: 8080,
    };
  }

  /** The bundle's config.json for one of the two programs. */
  setProgram(program: string): void {
    const spec = rehearsalSpec(program, `/tandem-rehearsal-${native.getpid()}`);
    writeFileSync(join(this.bundle, "config.json"), JSON.stringify(spec));
  }

  clear(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function playPod(host: ShimHost, stage: Stage, log: Log): Promise<void> {
  const events = new Server().service(Events, { forward: () => ({}) });
  await events.listen({ path: stage.events });
  const publisher = new EventPublisher({ address: stage.events, namespace: "rehearsal", log });
  const ended = Promise.withResolvers<void>();
  serveTasks({
    listener: native.listenStream(stage.tasks),
    socketPath: stage.tasks,
    namespace: "rehearsal",
    version: "rehearsal",
    log,
    dependencies: createContainerDependencies({
      ...host,
      socketPath: stage.tasks,
      events: publisher,
      log,
      lookup: async () => undefined,
    }),
    onShutdown: () => {
      publisher.flush(1000).finally(() => ended.resolve());
    },
  });
  const client = await connect(stage.tasks);
  const task = client.service(Task);
  try {
    for (const program of ["program", "/module.wasm"]) {
      stage.setProgram(program);
      await playTask(task, stage);
    }
    await task.shutdown({ id: "rehearsal" });
  } finally {
    await client.close();
  }
  await ended.promise;
  await publisher.close();
  await events.stop();
}


async function playTask(task: ServiceClient<typeof Task>, stage: Stage): Promise<void> {
  const id = "rehearsal";
  const rootfs = [{ type: "bind", source: stage.snapshot, options: ["rbind", "rw"] }];
  const reader = openSync(stage.stdout, constants.O_RDONLY | constants.O_NONBLOCK);
  await task.create({ id, bundle: stage.bundle, rootfs, stdout: stage.stdout, stderr: stage.stdout });
  await task.connect({ id });
  const waiting = task.wait({ id });
  await task.start({ id });
  await task.state({ id });
  await task.pids({ id });
  await waiting;
  await task.state({ id });
  await task.delete({ id });
  readSync(reader, Buffer.alloc(16), 0, 16, null);
  closeSync(reader);
}
