import type { GuestSources } from "../debug/source-lookup.ts";
import { trapLines } from "../trap.ts";
import type { HttpErrorCode } from "./error-code.ts";
import type { Exchange } from "./exchange.ts";
import type { GuestProgram } from "./guests/guest-program.ts";
import { InstancePool, type PooledInstance } from "./instance-pool.ts";
import type { HttpLimits } from "./limits.ts";
import { RequestTimeout } from "./request-timeout.ts";

/** How the end of a guest is told. */
export interface Reporting {
  /** Says something on the guest's stderr. */
  readonly report: (line: string) => void;
  readonly sources: GuestSources;
}

interface Running {
  readonly exchange: Exchange;
  readonly instance: PooledInstance;
  readonly deadline: number;
  /** Ends it for this reason. */
  readonly fail: (error: Error) => void;
}

/** Gives each request an instance, and sees to it that it is answered in time. */
export class Dispatcher {
  readonly #limits: HttpLimits;
  readonly #reporting: Reporting;
  readonly #pool: InstancePool;
  readonly #running = new Set<Running>();
  #waiting: Exchange[] = [];

  constructor(program: GuestProgram, limits: HttpLimits, reporting: Reporting) {
    this.#limits = limits;
    this.#reporting = reporting;
    this.#pool = new InstancePool(program, limits);
  }

  /** Has an instance ready for the first request. @throws what a start function traps with */
  prepare(): void {
    this.#pool.prepare(performance.now());
  }

  accept(exchange: Exchange): void {
    if (this.#running.size < this.#limits.maxConcurrentRequests) this.#run(exchange);
    else if (this.#waiting.length < this.#limits.maxWaitingRequests) this.#waiting.push(exchange);
    else exchange.fail(503);
  }

  /** To be called now and then. */
  sweep(): void {
    const now = performance.now();
    for (const one of [...this.#running]) {
      // Once it has begun, the answer takes as long as the client is there for it; and a guest may have more to do than to answer.
      if (one.deadline <= now && (!one.exchange.begun || one.exchange.broken))
        one.fail(new RequestTimeout("took too long"));
    }
    this.#pool.sweep(now);
  }

  #run(exchange: Exchange): void {
    const now = performance.now();
    const { requestTimeoutMs } = this.#limits;
    const deadline = requestTimeoutMs === 0 ? Number.POSITIVE_INFINITY : now + requestTimeoutMs;
    let instance: PooledInstance;
    try {
      instance = this.#pool.take(now);
    } catch (error) {
      this.#reportFailure(exchange, error);
      exchange.fail(500);
      exchange.release();
      return;
    }
    const { promise: failed, reject } = Promise.withResolvers<never>();
    const running = { exchange, instance, deadline, fail: reject };
    this.#running.add(running);
    const onError = (code: HttpErrorCode): void => this.#answerError(exchange, code);
    Promise.race([instance.guest.answer(exchange, { deadline, onError }), failed]).then(
      () => this.#answered(running),
      (error: unknown) => this.#failed(running, error),
    );
  }

  #answered(running: Running): void {
    const { exchange, instance } = running;
    if (!exchange.ended && !exchange.broken) {
      const what = exchange.begun ? "before its answer was whole" : "without an answer";
      this.#failed(running, new Error(`returned ${what}`));
      return;
    }
    this.#running.delete(running);
    exchange.release();
    this.#pool.release(instance, performance.now());
    this.#next();
  }

  #failed(running: Running, error: unknown): void {
    const { exchange, instance } = running;
    this.#running.delete(running);
    this.#reportFailure(exchange, error);
    // First, so that what the guest leaves behind does not break the answer.
    exchange.fail(error instanceof RequestTimeout ? 504 : 500);
    this.#pool.discard(instance);
    exchange.release();
    this.#next();
  }

  #next(): void {
    for (;;) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      if (next.broken) continue;
      // We are called by a promise, from within which no guest can be run.
      process.nextTick(() => this.#run(next));
      return;
    }
  }

  /** A guest that answers with an error leaves it to the host what the client is told. */
  #answerError(exchange: Exchange, code: HttpErrorCode): void {
    this.#say(exchange, `component answered with ${code.tag}`);
    exchange.fail(code.tag === "HTTP-request-body-size" ? 413 : 500);
  }

  #reportFailure(exchange: Exchange, error: unknown): void {
    if (error instanceof RequestTimeout) {
      this.#say(exchange, `component ${error.message}`);
      return;
    }
    const [message, ...frames] = trapLines(error, this.#reporting.sources);
    this.#say(exchange, `component trapped: ${message}`);
    for (const frame of frames) this.#reporting.report(frame);
  }

  #say({ head }: Exchange, what: string): void {
    this.#reporting.report(`tandem: ${head.method} ${head.path}: ${what}`);
  }
}
