import type { Exchange } from "../exchange.ts";
import type { HttpLimits } from "../limits.ts";
import type { LogEntry } from "./access-log.ts";
import type { Connection1 } from "./connection1.ts";
import type { DateHeader } from "./date-header.ts";
import type { Outbox } from "./outbox.ts";
import type { Head1 } from "./request-head.ts";

/** A socket that a connection of HTTP/1 gives away, and bytes that have come on it. */
export interface HandedOver {
  readonly fd: number;
  readonly bytes: Buffer;
}

/** What all connections of a server share. */
export interface ServerCore {
  readonly limits: HttpLimits;
  /** Monotonic milliseconds, as of the beginning of this turn of the event loop. */
  readonly now: number;
  /** Where bytes are received to; they are the caller's until somebody else receives. */
  readonly inbox: Buffer;
  readonly outbox: Outbox;
  readonly date: DateHeader;
  /** Has the kernel tell of events of a connection, or of others than until now. */
  watch(connection: Connection1, events: number): void;
  forget(connection: Connection1): void;
  serve(exchange: Exchange): void;
  log(entry: LogEntry): void;
  /** A request that could not be read was answered by the server. */
  refused(peer: string, status: number): void;
  startHttp2(socket: HandedOver, peer: string): void;
  /** Goes on with HTTP/2, the first request of which is this one; false when that is not to be. */
  upgrade(connection: Connection1, head: Head1): boolean;
}
