/** What an http server allows, and how long it waits. Times are milliseconds, sizes bytes. docs/http.md has them all. */
export interface HttpLimits {
  /** Requests that one instance serves, one after the other. 1: no request sees what another has left behind. */
  readonly maxInstanceReuseCount: number;
  /** Requests that one instance serves at the same time; 0.2 has no way to, so there it is 1 in any case. */
  readonly maxInstanceConcurrentReuseCount: number;
  /** How long an instance is kept that has nothing to do. */
  readonly idleInstanceTimeoutMs: number;
  /** Whether an instance is put back to its first state instead of being made anew, where that comes to the same. */
  readonly instanceReset: boolean;
  /** Requests at once; more of them wait their turn. */
  readonly maxConcurrentRequests: number;
  /** Requests that may wait; one more is answered with 503. */
  readonly maxWaitingRequests: number;
  /** Connections at once; more of them wait to be accepted. */
  readonly maxConcurrentConnections: number;
  /** Of a request's body; a longer one is answered with 413. */
  readonly maxBodyBytes: number;
  /** Of a request line and its header fields, and of trailers; more are answered with 431. */
  readonly maxHeaderBytes: number;
  /** Header fields, or trailers; more are answered with 431. */
  readonly maxHeaders: number;
  /** From a request's headers to the beginning of its answer; then 504. 0: as long as it takes. */
  readonly requestTimeoutMs: number;
  /** How long a guest may compute without waiting for anything; then 504, and its instance is gone. */
  readonly computeTimeoutMs: number;
  /** For a client to send the head of a request; then 408. */
  readonly headerTimeoutMs: number;
  /** For a client to send or take the next bytes of a body; then the connection is closed. */
  readonly ioTimeoutMs: number;
  /** How long a connection is kept on which nothing is asked. */
  readonly keepAliveTimeoutMs: number;
  /** How long `close` waits for requests that are being answered. */
  readonly drainTimeoutMs: number;
  /** Whether HTTP/2 is spoken, with prior knowledge and by upgrade. */
  readonly http2: boolean;
  /** A line for each request that was answered or given up. */
  readonly accessLog: "off" | "text" | "json";
  /** Where these lines go: a stream of the guest's, if it has it. */
  readonly accessLogTo: "stdout" | "stderr";
}

export const defaultHttpLimits: HttpLimits = {
  maxInstanceReuseCount: 1,
  maxInstanceConcurrentReuseCount: 1,
  idleInstanceTimeoutMs: 1000,
  instanceReset: true,
  maxConcurrentRequests: 128,
  maxWaitingRequests: 1024,
  maxConcurrentConnections: 1000,
  maxBodyBytes: 64 * 1024 * 1024,
  maxHeaderBytes: 64 * 1024,
  maxHeaders: 128,
  requestTimeoutMs: 60_000,
  computeTimeoutMs: 10_000,
  headerTimeoutMs: 10_000,
  ioTimeoutMs: 30_000,
  keepAliveTimeoutMs: 60_000,
  drainTimeoutMs: 20_000,
  http2: true,
  accessLog: "off",
  accessLogTo: "stderr",
};
