import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { TandemError } from "../../src/errors.ts";
import { isWasi03 } from "../../src/image/wasi-version.ts";
import type { ComponentCode } from "../component-code.ts";
import { reportLine } from "../report.ts";
import type { ComponentGrant } from "../wasi/p2/imports.ts";
import { createAnswer03 } from "../wasi/p3/http/answer.ts";
import { type Answer, createAnswer02 } from "./answer.ts";

export interface HttpLimits {
  /** Requests that one instance serves, one after the other. 1: no request sees what another has left behind. */
  readonly maxInstanceReuse: number;
  /** Requests at once, each in an instance of its own; more of them wait their turn. */
  readonly maxConcurrency: number;
  /** Requests that may wait; one more is answered with 503. */
  readonly maxWaiting: number;
  /** Bytes of a request's body; a longer one is answered with 413. */
  readonly maxBodyBytes: number;
  /** From the request's headers to the end of its answer; then 504. A guest that computes without end is not interrupted by it. */
  readonly requestTimeoutMs: number;
  /** How long `close` waits for requests in flight. */
  readonly drainMs: number;
}

export const defaultHttpLimits: HttpLimits = {
  maxInstanceReuse: 1,
  maxConcurrency: 128,
  maxWaiting: 1024,
  maxBodyBytes: 64 * 1024 * 1024,
  requestTimeoutMs: 60_000,
  drainMs: 10_000,
};

/** A listening socket of the caller's, or where to listen; without a host, on every address. */
export type ListenAddress = { readonly fd: number } | { readonly host?: string; readonly port: number };

export interface ServeOptions {
  readonly code: ComponentCode;
  readonly grant: ComponentGrant;
  readonly address: ListenAddress;
  readonly limits?: Partial<HttpLimits>;
}

export interface HttpService {
  readonly address: { readonly host: string; readonly port: number };
  /** Stops accepting, waits for requests in flight as long as `drainMs`, then breaks what is left. Idempotent. */
  close(): Promise<void>;
}

/**
 * Serves a component of the world wasi:http/proxy of 0.2 or wasi:http/service of 0.3. A request that traps costs that request: 500, and one line on the
 * granted stderr.
 * @throws TandemError `failed_precondition` when the port is taken; `invalid_argument` when the component is of another world;
 *   what a first instance traps with
 */
export async function serveHttp(options: ServeOptions): Promise<HttpService> {
  const { code } = options;
  if (code.entry.world !== "http")
    throw new TandemError(
      "invalid_argument",
      "component exports neither wasi:http/incoming-handler nor wasi:http/handler",
    );
  const limits = { ...defaultHttpLimits, ...options.limits };
  const dispatcher = new Dispatcher(code, options.grant, limits);
  const server = createServer({ requestTimeout: limits.requestTimeoutMs }, (request, response) =>
    dispatcher.accept({ request, response }),
  );
  dispatcher.prepare();
  await listen(server, options.address);
  let closing: Promise<void> | undefined;
  const { address: host, port } = server.address() as AddressInfo;
  return { address: { host, port }, close: () => (closing ??= close(server, limits.drainMs)) };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface PooledInstance {
  readonly answer: Answer;
  uses: number;
}

/** Gives each request an instance, and sees to its answer. */
class Dispatcher {
  readonly #code: ComponentCode;
  readonly #grant: ComponentGrant;
  readonly #limits: HttpLimits;
  readonly #idle: PooledInstance[] = [];
  readonly #waiting: Exchange[] = [];
  #running = 0;

  constructor(code: ComponentCode, grant: ComponentGrant, limits: HttpLimits) {
    this.#code = code;
    this.#grant = grant;
    this.#limits = limits;
  }

  accept(exchange: Exchange): void {
    if (Number(exchange.request.headers["content-length"] ?? 0) > this.#limits.maxBodyBytes) {
      refuse(exchange.response, 413);
    } else if (this.#running >= this.#limits.maxConcurrency) {
      if (this.#waiting.length < this.#limits.maxWaiting) this.#waiting.push(exchange);
      else refuse(exchange.response, 503);
    } else {
      void this.#run(exchange);
    }
  }

  async #run({ request, response }: Exchange): Promise<void> {
    this.#running++;
    const report = (failure: string): void =>
      reportLine(this.#grant.stdio.stderr, `${request.method} ${request.url}: ${failure}`);
    const timer = setTimeout(() => fail(response, 504), this.#limits.requestTimeoutMs);
    response.once("close", () => clearTimeout(timer));
    try {
      const instance = this.#idle.pop() ?? this.#instantiate();
      instance.uses++;
      await instance.answer({
        request,
        response,
        maxBodyBytes: this.#limits.maxBodyBytes,
        onError: (code) => {
          report(`component answered with ${code}`);
          fail(response, code === "HTTP-request-body-size" ? 413 : 500);
        },
      });
      if (instance.uses < this.#limits.maxInstanceReuse) this.#idle.push(instance);
    } catch (error) {
      const failure = error instanceof Error ? error.message : String(error);
      report(`component trapped: ${failure}`);
      fail(response, 500);
    } finally {
      this.#running--;
      const next = this.#nextWaiting();
      if (next === undefined) setImmediate(() => this.#prepareNext());
      else void this.#run(next);
    }
  }

  /** Without those whose client has given up. */
  #nextWaiting(): Exchange | undefined {
    for (;;) {
      const next = this.#waiting.shift();
      if (next === undefined || !next.response.destroyed) return next;
    }
  }

  /** One instance is ready before its request comes: of a JavaScript component, that takes 60 ms off the answer. */
  prepare(): void {
    if (this.#idle.length === 0) this.#idle.push(this.#instantiate());
  }

  #prepareNext(): void {
    if (this.#running > 0) return;
    try {
      this.prepare();
    } catch {
      // the request that wants it tries again and says why not
    }
  }

  #instantiate(): PooledInstance {
    const instantiated = this.#code.instantiate(this.#grant);
    const { name = "" } = this.#code.entry;
    const createAnswer = isWasi03(name) ? createAnswer03 : createAnswer02;
    return { answer: createAnswer(instantiated, name), uses: 0 };
  }
}

function listen(server: Server, address: ListenAddress): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const name = "fd" in address ? `descriptor ${address.fd}` : `${address.host ?? ""}:${address.port}`;
  server.once("error", (error: NodeJS.ErrnoException) => {
    const taken = error.code === "EADDRINUSE";
    reject(
      taken
        ? new TandemError("failed_precondition", `http: ${name} is taken`, { cause: error })
        : TandemError.from(error, `http: ${name}`),
    );
  });
  server.listen(address, resolve);
  return promise;
}

function close(server: Server, drainMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => server.closeAllConnections(), drainMs);
  server.close(() => {
    clearTimeout(timer);
    resolve();
  });
  server.closeIdleConnections();
  return promise;
}

/** An answer in place of the guest's, or an end to what it began. */
function fail(response: ServerResponse, status: number): void {
  if (response.headersSent) response.destroy();
  else refuse(response, status);
}

/** The connection is not used again: the request's body may still be coming. */
function refuse(response: ServerResponse, status: number): void {
  if (!response.destroyed) response.writeHead(status, { connection: "close", "content-length": 0 }).end();
}
