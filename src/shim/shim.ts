import { chdir } from "node:process";
import { createLog, type Log } from "../log.ts";
import { native } from "../native.ts";
import { VERSION } from "../version.ts";
import { createContainerDependencies } from "./dependencies.ts";
import { parseStartInput } from "./start-input.ts";
import { EventPublisher } from "../containerd/event-publisher.ts";
import { createLookup } from "../containerd/lookup-image.ts";
import { serveTasks } from "../task/server.ts";
import type { ZygoteAddress } from "../zygote/client.ts";
import type { ShimParameters } from "../zygote/request.ts";

/** What the zygote made ahead for every shim. */
export interface ShimHost {
  readonly zygote: ZygoteAddress;
  /** container-init, sealed. */
  readonly containerInit: number;
}

/** No Create within this time: containerd could not use the address, or was killed (shim-protocol §1.8). */
const IDLE_EXIT_MS = 60_000;
/** How long events may still be on their way after Shutdown. */
const FLUSH_GRACE_MS = 2_000;

/**
 * A freshly forked process becomes the shim of one pod: it serves the Task service on the socket that the launcher has bound,
 * until the last container is deleted and containerd says Shutdown.
 */
export function becomeShim(host: ShimHost, parameters: ShimParameters, listener: number): void {
  native.setProcessName("tandem-shim");
  native.setSession();
  native.setSubreaper();
  chdir("/"); // containerd removes the bundle.
  const input = parseStartInput(parameters);
  const log = createLog({ path: `${parameters.bundle}/log`, debug: input.debug });
  surviveUnexpectedErrors(log);
  // Stopping a shim by signal would leave its containers without a supervisor (shim-protocol §10, no. 28).
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => log.warn({ signal }, "signal ignored"));
  const events = new EventPublisher({ address: input.ttrpcAddress, namespace: parameters.namespace, log });
  const server = serveTasks({
    listener,
    log,
    namespace: parameters.namespace,
    version: VERSION,
    dependencies: createContainerDependencies({
      ...host,
      socketPath: parameters.socketPath,
      events,
      log,
      lookup: createLookup(host.zygote, parameters.address),
    }),
    socketPath: parameters.socketPath,
    onShutdown: () => {
      events.flush(FLUSH_GRACE_MS).finally(() => native.exitNow(0));
    },
  });
  setTimeout(() => {
    if (!server.everUsed()) server.shutdown();
  }, IDLE_EXIT_MS).unref();
}

/** The shim is the only one who knows its containers: a bug in one request must not end the others. */
function surviveUnexpectedErrors(log: Log): void {
  process.on("uncaughtException", (error) => log.error({ err: error }, "uncaught exception"));
  process.on("unhandledRejection", (error) => log.error({ err: error }, "unhandled rejection"));
}
