import { Server } from "ttrpc-ts";
import { Events } from "../../src/api/gen/containerd/services/events/ttrpc/v1/events_pb.ts";

/** Stands in for containerd's ttrpc socket: takes the events of every shim, as TTRPC_ADDRESS names it. */
export interface EventsSocket {
  readonly path: string;
  /** Events so far, by topic. */
  readonly counts: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

export async function serveEvents(path: string): Promise<EventsSocket> {
  const counts = new Map<string, number>();
  const server = new Server().service(Events, {
    forward({ envelope }) {
      const topic = envelope?.topic ?? "";
      counts.set(topic, (counts.get(topic) ?? 0) + 1);
      return {};
    },
  });
  await server.listen({ path });
  return { path, counts, close: () => server.stop() };
}
