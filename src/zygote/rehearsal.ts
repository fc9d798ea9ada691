import { copyFileSync, chmodSync, mkdirSync, openSync, readSync, rmSync, writeFileSync, closeSync, constants } from "node:fs";
import { join } from "node:path";
import { connect, Server, type ServiceClient } from "ttrpc-ts";
import { Events } from "../api/gen/containerd/services/events/ttrpc/v1/events_pb.ts";
import { Task } from "../api/gen/containerd/task/v2/task_pb.ts";
import { EventPublisher } from "../containerd/event-publisher.ts";
import { directories } from "../directories.ts";
import type { Log } from "../log.ts";
import { native } from "../native.ts";
import { createContainerDependencies } from "../shim/dependencies.ts";
import type { ShimHost } from "../shim/shim.ts";
import { serveTasks } from "../task/server.ts";
import { rehearsalSpec } from "./rehearsal-spec.ts";

/** Enough for V8 to have compiled what a shim runs; more makes the start of a zygote longer and a shim no faster. */
const ROUNDS = 12;

/**
 * Plays a whole pod in the zygote itself, before the first fork: a real Linux container through the real service over real
 * sockets, with a containerd of our own at the other end of the events. Every child then finds the code compiled, the shapes
 * of objects known and the memory touched.
 *
 * The container's program is container-init itself, which does nothing when nobody hands it a plan.
 */
export async function rehearseShim(host: ShimHost, directory: string, log: Log): Promise<void> {
  const stage = new Stage(directory);
  try {
    for (let round = 0; round < ROUNDS; round++) await playPod(host, stage, log);
  } finally {
    stage.clear();
  }
}

/** The files that a rehearsal needs, in a directory of the zygote's own. */
class Stage {
  readonly bundle: string;
  readonly tasks: string;
  readonly events: string;
  readonly stdout: string;
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = join(directory, "rehearsal");
    rmSync(this.#directory, { recursive: true, force: true });
    this.bundle = join(this.#directory, "bundle");
    this.tasks = join(this.#directory, "task.sock");
    this.events = join(this.#directory, "events.sock");
    this.stdout = join(this.#directory, "stdout");
    const snapshot = this.snapshot;
    for (const path of ["bin", "proc", "sys", "dev"]) mkdirSync(join(snapshot, path), { recursive: true });
    mkdirSync(join(this.bundle, "rootfs"), { recursive: true });
    copyFileSync(join(directories.lib, "container-init"), join(snapshot, "bin/program"));
    chmodSync(join(snapshot, "bin/program"), 0o755);
    writeFileSync(join(this.bundle, "config.json"), JSON.stringify(rehearsalSpec(`/tandem-rehearsal-${native.getpid()}`)));
    native.makeFifo(this.stdout);
  }

  get snapshot(): string {
    return join(this.#directory, "snapshot");
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
  try {
    await playTask(client.service(Task), stage);
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
  await task.shutdown({ id });
  readSync(reader, Buffer.alloc(16), 0, 16, null);
  closeSync(reader);
}
