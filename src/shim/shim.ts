import { EventPublisher } from "../containerd/event-publisher.ts";
import { createLookup } from "../containerd/lookup-image.ts";
import type { Log, RedirectableLog } from "../log.ts";
import { native } from "../native.ts";
import { serveTasks } from "../task/server.ts";
import { VERSION } from "../version.ts";
import type { ZygoteAddress } from "../zygote/client.ts";
import type { ShimParameters } from "../zygote/request.ts";
import { createContainerDependencies } from "./dependencies.ts";
import { parseStartInput } from "./start-input.ts";

/** What the zygote made ahead for every shim. */
export interface ShimHost {
  readonly zygote: ZygoteAddress;
  /** container-init, sealed. */
  readonly containerInit: number;
  readonly log: RedirectableLog;
}

/** No Create within this time: containerd could not use the address, or was killed (shim-protocol §1.8). */
const IDLE_EXIT_MS = 60_000;
/** How long events may still be on their way after Shutdown. */
const FLUSH_GRACE_MS = 2_000;

/** A freshly forked process becomes the shim of one pod, until the last container is deleted and containerd says Shutdown. */
export function becomeShim(host: ShimHost, parameters: ShimParameters, listener: number): void {
  native.enterShim("tandem-shim");
  serveShim(host, { parameters, listener, end: () => native.exitNow(0) });
}

/** What is a shim's own; the rehearsal has its own, too. */
export interface Shim {
  readonly parameters: ShimParameters;
  /** The bound and listening socket of the pod. */
  readonly listener: number;
  /** Everything is answered, closed and published. */
  end(): void;
}

/** Serves the Task service on the socket that the launcher has bound. */
export function serveShim(host: ShimHost, { parameters, listener, end }: Shim): void {
  const input = parseStartInput(parameters);
  const { log } = host.log;
  host.log.redirect(`${parameters.bundle}/log`, input.debug);
  surviveUnexpectedErrors(log);
  const events = new EventPublisher({ address: input.ttrpcAddress, namespace: parameters.namespace, log });
  const { socketPath } = parameters;
  const server = serveTasks({
    listener,
    log,
    namespace: parameters.namespace,
    version: VERSION,
    dependencies: createContainerDependencies({
      ...host,
      socketPath,
      events,
      log,
      lookup: createLookup(host.zygote, parameters.address),
    }),
    socketPath,
    onShutdown: () => {
      clearTimeout(idle);
      events
        .flush(FLUSH_GRACE_MS)
        .then(() => events.close())
        .catch((error: unknown) => log.error({ err: error }, "flushing events"))
        .then(end, end);
    },
  });
  const idle = setTimeout(() => {
    if (!server.everUsed()) server.shutdown();
  }, IDLE_EXIT_MS);
}

/** The shim is the only one who knows its containers: a bug in one request must not end the others. */
function surviveUnexpectedErrors(log: Log): void {
  if (process.listenerCount("uncaughtException") > 0) return;
  process.on("uncaughtException", (error) => log.error({ err: error }, "uncaught exception"));
  process.on("unhandledRejection", (error) => log.error({ err: error }, "unhandled rejection"));
}
