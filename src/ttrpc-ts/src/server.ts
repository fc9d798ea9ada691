import { createServer, type Server as NetServer, type Socket } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import { TtrpcError } from "./error.ts";
import { type CallRecord, ServerConnection } from "./server-connection.ts";
import { type Routes, routesOf, type ServiceImpl } from "./service.ts";

export interface ServerOptions {
  /** Calls in flight per connection; more are answered `resource_exhausted`. Default 1024. */
  readonly maxCallsPerConnection?: number;
  /** Bytes of requests in flight, and of stream messages unread, per connection. Default 16 MiB. */
  readonly maxBufferedBytes?: number;
  /** Converts what a handler threw, unless it is a TtrpcError already. Default: `unknown` with the message. */
  readonly toError?: (thrown: unknown) => TtrpcError;
  /** Told of every call that reached a handler or was unimplemented, once it has ended. */
  readonly onCall?: (record: CallRecord) => void;
  /** Told of errors that belong to no call: a socket's, or accept's. They never end the server. */
  readonly onError?: (error: Error) => void;
}

export interface ServiceOptions {
  /** The names to serve under, when not only the descriptor's own: versions of a service that share their messages. */
  readonly names?: readonly string[];
}

/** Where to listen: a unix socket's path, or a descriptor that is bound (and may be listening) already. */
export type ListenTarget = { readonly path: string } | { readonly fd: number };

/** A ttrpc server. Services are added first; then it listens, or is handed connections. */
export class Server implements AsyncDisposable {
  readonly #options: ServerOptions;
  readonly #routes: Routes = new Map();
  readonly #connections = new Set<ServerConnection>();
  #listener: NetServer | undefined;
  #accepted = 0;
  #stopped: Promise<void> | undefined;
  #onEmpty: (() => void) | undefined;

  constructor(options: ServerOptions = {}) {
    this.#options = options;
  }

  /** Serves `impl`, whose methods keep their `this`. Adding a name again replaces it. */
  service<Service extends DescService>(
    descriptor: Service,
    impl: ServiceImpl<Service>,
    options: ServiceOptions = {},
  ): this {
    const routes = routesOf(descriptor, impl);
    for (const name of options.names ?? [descriptor.typeName]) this.#routes.set(name, routes);
    return this;
  }

  /** Resolves when connections are accepted. Raises `unavailable` when the socket cannot be listened on. */
  listen(target: ListenTarget): Promise<void> {
    const listener = createServer((socket) => this.accept(socket));
    this.#listener = listener;
    return new Promise((resolve, reject) => {
      const refuse = (error: Error) => {
        reject(new TtrpcError("unavailable", `listen: ${error.message}`, { cause: error }));
      };
      listener.once("error", refuse);
      listener.listen(target, () => {
        listener.off("error", refuse);
        // EMFILE and the like on accept: the connection is lost, the server goes on.
        listener.on("error", (error) => this.#options.onError?.(error));
        resolve();
      });
    });
  }

  /** Serves a connection that was accepted elsewhere. */
  accept(socket: Socket): void {
    this.#accepted++;
    const connection = new ServerConnection(socket, {
      routes: this.#routes,
      peer: { connection: this.#accepted },
      maxCallsPerConnection: this.#options.maxCallsPerConnection ?? 1024,
      maxBufferedBytes: this.#options.maxBufferedBytes ?? 16 * 1024 * 1024,
      toError: this.#options.toError ?? TtrpcError.from,
      onCall: this.#options.onCall,
      onClose: (closed, error) => {
        this.#connections.delete(closed);
        if (error !== undefined) this.#options.onError?.(error);
        if (this.#connections.size === 0) this.#onEmpty?.();
      },
    });
    this.#connections.add(connection);
    if (this.#stopped !== undefined) connection.end(0);
  }

  /**
   * Stops accepting, sends the answers that handlers have given by the next turn of the event loop, closes every
   * connection and resolves when all are closed. Calls still in flight see their signal aborted. A peer that does not
   * read is cut off after `flushTimeoutMs`.
   */
  stop(options: { readonly flushTimeoutMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#stop(options.flushTimeoutMs ?? 1000);
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(flushTimeoutMs: number): Promise<void> {
    this.#listener?.close();
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#connections.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const connection of this.#connections) connection.end(flushTimeoutMs);
    await empty;
  }
}
