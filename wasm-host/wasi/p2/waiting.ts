import { native } from "../../../src/native.ts";

/**
 * How a component waits. Glue transpiled for plain calls blocks its thread in the kernel; glue transpiled for JSPI suspends
 * the WebAssembly stack and lets the event loop run. No worker thread takes part in either, unlike in preview2-shim.
 */

/** Something that can be waited for: what a `pollable` stands for. */
export interface Source {
  ready(): boolean;
  /** Monotonic nanoseconds at which it becomes ready by itself. */
  readonly deadline?: bigint;
  /** A descriptor whose being readable makes it ready. */
  readonly readable?: number;
  /** For sources fed by the event loop: calls `wake` when `ready` may have changed; the returned function stops that. */
  watch?(wake: () => void): () => void;
}

export interface Waiter {
  /** Returns, or resolves, once one of the sources is ready. */
  untilAny(sources: readonly Source[]): undefined | Promise<void>;
}

export const alwaysReady: Source = { ready: () => true };

export function monotonicNow(): bigint {
  return process.hrtime.bigint();
}

/** Runs `then` once the source is ready: at once, without a promise, when it already is. */
export function whenReady<T>(waiter: Waiter, source: Source, then: () => T | Promise<T>): T | Promise<T> {
  if (source.ready()) return then();
  const waiting = waiter.untilAny([source]);
  return waiting === undefined
    ? whenReady(waiter, source, then)
    : waiting.then(() => whenReady(waiter, source, then));
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Blocks the thread. What only the event loop can make ready is not for it: glue for http suspends. */
export const blocking: Waiter = {
  untilAny(sources) {
    while (!sources.some((source) => source.ready())) {
      const timeoutMs = millisecondsUntilFirst(sources);
      // Only stdin has to be waited for, and all its streams share one descriptor.
      const fd = sources.find((source) => source.readable !== undefined)?.readable;
      if (fd !== undefined) native.waitReadable(fd, timeoutMs);
      else if (timeoutMs >= 0) Atomics.wait(sleeper, 0, 0, timeoutMs);
      else throw new Error("the component waits for something that can never happen");
    }
    return undefined;
  },
};

/** Suspends the component; timers, descriptors and the network wake it. */
export const suspending: Waiter = {
  untilAny(sources) {
    if (sources.some((source) => source.ready())) return undefined;
    return new Promise((resolve) => {
      const stops: (() => void)[] = [];
      const wake = (): void => {
        if (!sources.some((source) => source.ready())) return;
        for (const stop of stops.splice(0)) stop();
        resolve();
      };
      for (const source of sources) stops.push(...watchSource(source, wake));
    });
  },
};

function watchSource(source: Source, wake: () => void): (() => void)[] {
  const stops: (() => void)[] = [];
  if (source.watch !== undefined) stops.push(source.watch(wake));
  if (source.readable !== undefined) stops.push(native.onReadable(source.readable, wake));
  if (source.deadline !== undefined) stops.push(wakeAt(source.deadline, wake));
  return stops;
}

/** setTimeout holds 31 bits of milliseconds and may fire early by a fraction of one. */
function wakeAt(deadline: bigint, wake: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const left = millisecondsUntil(deadline);
    if (left <= 0) wake();
    else timer = setTimeout(arm, left);
  };
  timer = setTimeout(arm, millisecondsUntil(deadline));
  return () => clearTimeout(timer);
}

function millisecondsUntilFirst(sources: readonly Source[]): number {
  let first: bigint | undefined;
  for (const { deadline } of sources) {
    if (deadline !== undefined && (first === undefined || deadline < first)) first = deadline;
  }
  return first === undefined ? -1 : millisecondsUntil(first);
}

function millisecondsUntil(deadline: bigint): number {
  const left = deadline - monotonicNow();
  return left <= 0n ? 0 : Math.min(Number((left + 999_999n) / 1_000_000n), 0x7fffffff);
}
