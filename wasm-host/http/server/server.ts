import { constants } from "node:os";
import { native } from "../../../src/native.ts";
import type { SocketSet } from "../../../src/native-sockets.ts";
import { formatAddress } from "../../network/address.ts";
import { emptySockaddr, endpointFrom } from "../../network/sockaddr.ts";
import type { Exchange } from "../exchange.ts";
import type { HttpLimits } from "../limits.ts";
import type { AccessLog, LogEntry } from "./access-log.ts";
import { Connection1 } from "./connection1.ts";
import { DateHeader } from "./date-header.ts";
import { Http2 } from "./http2.ts";
import { boundAt, type ListenAddress, openListeners } from "./listeners.ts";
import { Outbox } from "./outbox.ts";
import type { Head1 } from "./request-head.ts";
import type { HandedOver, ServerCore } from "./server-core.ts";
import { takeUpgrade } from "./upgrade.ts";

const READABLE = 1;

const { EMFILE, ENFILE, EAGAIN } = constants.errno;

/** Events that one turn of the loop tells of. */
const batch = 256;

export interface ServerOptions {
  readonly limits: HttpLimits;
  readonly log?: AccessLog | undefined;
  serve(exchange: Exchange): void;
}

/**
 * An HTTP server on sockets of its own: HTTP/1.1 and 1.0, HTTP/2 without TLS. Node's costs twice as much for each request, which is
 * more than a small guest does (benchmarks/http); of it there is HTTP/2, on connections that turn out to speak that.
 */
export class HttpServer implements ServerCore {
  readonly limits: HttpLimits;
  readonly inbox: Buffer;
  readonly outbox = new Outbox();
  readonly date = new DateHeader();
  now = performance.now();
  readonly #options: ServerOptions;
  readonly #http2: Http2;
  readonly #ready = new Int32Array(2 * batch);
  readonly #set: SocketSet;
  readonly #listeners: readonly number[];
  readonly #connections = new Map<number, Connection1>();
  readonly #peerName = emptySockaddr();
  readonly #timer: NodeJS.Timeout;
  readonly #closed = Promise.withResolvers<void>();
  /** The drain time was not enough. */
  #broken = false;
  #accepting = false;
  #draining = false;

  /** Nothing is accepted yet. @throws TandemError as `openListeners` does */
  constructor(address: ListenAddress, options: ServerOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.inbox = Buffer.allocUnsafeSlow(options.limits.maxHeaderBytes + 128 * 1024);
    this.#http2 = new Http2(this);
    this.#listeners = openListeners(address);
    this.#set = native.createSocketSet(this.#ready, (count) => this.#dispatch(count));
    this.#timer = setInterval(() => this.#sweep(), tickOf(options.limits)).unref();
  }

  get address(): { readonly host: string; readonly port: number } {
    return boundAt(this.#listeners[0] ?? -1);
  }

  start(): void {
    for (const fd of this.#listeners) native.disableNagle(fd);
    this.#setAccepting(true);
  }

  /**
   * Takes no more requests; resolves with true when all that are being answered have been, or with false when `drainTimeoutMs` have
   * passed before that. Connections learn that their answer is the last.
   */
  async close(): Promise<boolean> {
    if (this.#draining) {
      await this.#closed.promise;
      return !this.#broken;
    }
    this.#draining = true;
    for (const fd of this.#listeners) {
      native.forgetSocket(this.#set, fd);
      native.close(fd);
    }
    this.now = performance.now();
    for (const connection of [...this.#connections.values()]) connection.drain();
    this.#http2.drain();
    const timer = setTimeout(() => this.#breakAll(), this.limits.drainTimeoutMs);
    this.#closeIfEmpty();
    await this.#closed.promise;
    clearTimeout(timer);
    return !this.#broken;
  }

  #breakAll(): void {
    this.#broken = true;
    this.#http2.destroy();
    for (const connection of [...this.#connections.values()]) connection.close();
    this.#closeIfEmpty();
  }

  #closeIfEmpty(): void {
    if (!this.#draining || this.#connections.size > 0 || this.#http2.size > 0) return;
    clearInterval(this.#timer);
    native.closeSocketSet(this.#set);
    this.#closed.resolve();
  }

  // --- ServerCore

  watch(connection: Connection1, events: number): void {
    native.watchSocket(this.#set, connection.fd, events);
  }

  forget(connection: Connection1): void {
    native.forgetSocket(this.#set, connection.fd);
    this.#connections.delete(connection.fd);
    this.#admit();
  }

  serve(exchange: Exchange): void {
    this.#options.serve(exchange);
  }

  log(entry: LogEntry): void {
    this.#options.log?.add(entry, performance.now());
  }

  refused(peer: string, status: number): void {
    const head = { method: "-", path: "-", authority: undefined, rawHeaders: () => [] };
    this.log({ peer, head, protocol: "-", status, bytes: 0, startedAt: this.now });
  }

  startHttp2(socket: HandedOver, peer: string): void {
    this.#http2.start(socket, peer);
  }

  upgrade(connection: Connection1, head: Head1): boolean {
    if (!this.limits.http2) return false;
    return takeUpgrade(this, connection, head);
  }

  /** A connection of HTTP/2 is gone. */
  http2Ended(): void {
    this.#admit();
  }

  // --- events

  #dispatch(count: number): void {
    this.now = performance.now();
    for (let index = 0; index < count; index++) {
      const fd = this.#ready[2 * index] ?? -1;
      const connection = this.#connections.get(fd);
      if (connection !== undefined) connection.onEvents(this.#ready[2 * index + 1] ?? 0);
      else if (this.#listeners.includes(fd)) this.#accept(fd);
    }
  }

  #accept(listener: number): void {
    while (
      this.#accepting &&
      this.#connections.size + this.#http2.size < this.limits.maxConcurrentConnections
    ) {
      const fd = native.socketAccept(listener, this.#peerName);
      if (fd < 0) {
        // Without descriptors the listener would stay readable, and the loop would spin.
        if (fd === -EMFILE || fd === -ENFILE) this.#setAccepting(false);
        else if (fd !== -EAGAIN) continue; // a client that was gone before its turn
        return;
      }
      this.#connections.set(
        fd,
        new Connection1(this, fd, formatAddress(endpointFrom(this.#peerName).address)),
      );
    }
    this.#setAccepting(this.#hasRoom());
  }

  #hasRoom(): boolean {
    return this.#connections.size + this.#http2.size < this.limits.maxConcurrentConnections;
  }

  /** There may be room for a connection that waits. */
  #admit(): void {
    if (this.#draining) this.#closeIfEmpty();
    else if (!this.#accepting && this.#hasRoom()) this.#setAccepting(true);
  }

  #setAccepting(accepting: boolean): void {
    if (this.#accepting === accepting) return;
    this.#accepting = accepting;
    for (const fd of this.#listeners) native.watchSocket(this.#set, fd, accepting ? READABLE : 0);
  }

  #sweep(): void {
    this.now = performance.now();
    for (const connection of [...this.#connections.values()])
      if (connection.deadline <= this.now) connection.expire();
    this.#http2.sweep(this.now);
    if (!this.#draining) this.#admit();
  }
}

/** Fine enough for the shortest of the times that it watches. */
function tickOf({ headerTimeoutMs, ioTimeoutMs, keepAliveTimeoutMs }: HttpLimits): number {
  const shortest = Math.min(headerTimeoutMs, ioTimeoutMs, keepAliveTimeoutMs);
  return Math.max(5, Math.min(500, Math.floor(shortest / 4)));
}
