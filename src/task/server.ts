import { rmSync } from "node:fs";
import { Server, TtrpcError } from "ttrpc-ts";
import { Task } from "../api/gen/containerd/task/v2/task_pb.ts";
import { Task as TaskV3 } from "../api/gen/containerd/task/v3/task_pb.ts";
import { TandemError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { ContainerDependencies } from "./create-container.ts";
import { Registry } from "./registry.ts";
import { createTaskService } from "./service.ts";

export interface TaskServerOptions {
  /** The bound and listening socket of the pod. */
  readonly listener: number;
  readonly socketPath: string;
  readonly namespace: string;
  readonly version: string;
  readonly log: Log;
  readonly dependencies: ContainerDependencies;
  /** Everything has been answered and closed: the process may flush its events and go. */
  onShutdown(): void;
}

export interface TaskServer {
  /** Whether a Create has ever come. */
  everUsed(): boolean;
  shutdown(): void;
}

/** Serves the Task service on the pod's socket, to any number of connections, under both of its names. */
export function serveTasks(options: TaskServerOptions): TaskServer {
  const { log } = options;
  const registry = new Registry(options.dependencies);
  const server = new Server({
    toError,
    onError: (error) => log.debug({ err: error }, "ttrpc connection"),
    onCall: (call) => log.debug({ method: call.method, code: call.error?.code ?? "ok" }, "request"),
  });
  let stopping = false;
  const shutdown = (): void => {
    if (stopping) return;
    stopping = true;
    // Before the reply: a start of the same pod that comes now must not find this socket (shim-protocol §10, no. 34b).
    rmSync(options.socketPath, { force: true });
    server.stop().then(options.onShutdown, (error: unknown) => {
      log.error({ err: error }, "stopping");
      options.onShutdown();
    });
  };
  const service = createTaskService({
    registry,
    namespace: options.namespace,
    version: options.version,
    shutdown,
  });
  server.service(Task, service, { names: [Task.typeName, TaskV3.typeName] });
  server.listen({ fd: options.listener }).catch((error: unknown) => {
    log.fatal({ err: error }, "the pod's socket cannot be served");
    shutdown();
  });
  return { everUsed: () => registry.everUsed, shutdown };
}

/** The one edge at which an error leaves the shim: our codes are ttrpc's names. */
function toError(thrown: unknown): TtrpcError {
  if (thrown instanceof TtrpcError) return thrown;
  const error = TandemError.from(thrown);
  return new TtrpcError(error.code, error.message, { cause: error });
}
