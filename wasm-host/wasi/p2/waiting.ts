import { native } from "../../../src/native.ts";
import { chores, endChore } from "./chores.ts";
import { sweep } from "./sweep.ts";

/**
 * How a component waits. Glue transpiled for plain calls blocks its thread in the kernel; glue transpiled for JSPI suspends
 * the WebAssembly stack and lets the event loop run. No worker thread takes part in either, unlike in preview2-shim.
 */

/** Something that can be waited for: what a `pollable` stands for. */
export interface Source {
  /**
   * Whether it is ready. `polled` says whether its descriptors, or those of its parts, were found ready just now; without it, a source
   * finds out by itself.
   */
  ready(polled?: boolean): boolean;
  /** Monotonic nanoseconds at which it becomes ready by itself. */
  readonly deadline?: bigint;
  /** In place of a deadline, of a clock that is made up: where that has to be for it to be ready, and how it gets there. */
  readonly madeUp?: { readonly mark: bigint; readonly moveTo: () => void };
  /** Descriptors that may make it ready by being readable or writable, or by failing. */
  readonly readable?: number | undefined;
  readonly writable?: number | undefined;
  /** Several of these at once, in place of its own. */
  parts?(): readonly Source[];
  /** For sources fed by the event loop: calls `wake` when `ready` may have changed; the returned function stops that. */
  watch?(wake: () => void): () => void;
}

export interface Waiter {
  /** Returns, or resolves, once one of the sources is ready. */
  untilAny(sources: readonly Source[]): undefined | Promise<void>;
  /** The same, with the indexes of those that are. Any of the owners may end the wait: then it never resolves. */
  poll(sources: readonly Source[], owners?: readonly Waits[]): readonly number[] | Promise<readonly number[]>;
  /** Asks the source whenever it may be ready, while the guest does something else, until it is: asking it is what has to be done. */
  inBackground(source: Source): void;
}

/** Ends each wait of an owner that may go before what it waits for has come. */
export type Waits = Set<() => void>;

export const alwaysReady: Source = { ready: () => true };

export function monotonicNow(): bigint {
  return process.hrtime.bigint();
}

/** Runs `then` once the source is ready: at once, without a promise, when it already is. */
export function whenReady<T>(waiter: Waiter, source: Source, then: () => T | Promise<T>): T | Promise<T> {
  const waiting = source === alwaysReady ? undefined : waiter.untilAny([source]);
  return waiting === undefined ? then() : waiting.then(then);
}

/** Blocks the thread. What only the event loop can make ready is not for it: glue for http suspends. */
export const blocking: Waiter = {
  untilAny(sources) {
    waitWithThread(sources);
    return undefined;
  },
  poll: (sources) => waitWithThread(sources),
  inBackground(source) {
    chores.set(source, () => undefined);
  },
};

function waitWithThread(sources: readonly Source[]): readonly number[] {
  for (;;) {
    const all = chores.size === 0 ? sources : [...sources, ...chores.keys()];
    const own: number[] = [];
    for (const index of sweep(all, true)) {
      const source = all[index];
      if (index < sources.length) own.push(index);
      else if (source !== undefined) endChore(source);
    }
    if (own.length > 0) return own;
  }
}

/** Suspends the component; timers, descriptors and the network wake it. */
export const suspending: Waiter = {
  untilAny(sources) {
    const waiting = this.poll(sources);
    return waiting instanceof Promise ? waiting.then(() => undefined) : undefined;
  },
  poll(sources, owners) {
    const ready = sweep(sources, false);
    if (ready.length === 0) return whenWoken(sources, owners);
    // A guest that polls in a loop must not keep the loop from what feeds the others.
    const starving = sources.some(({ watch }, index) => watch !== undefined && !ready.includes(index));
    return starving ? new Promise((resolve) => setImmediate(() => resolve(sweep(sources, false)))) : ready;
  },
  inBackground(source) {
    const end = (): boolean => chores.delete(source);
    chores.set(source, watchAll([source], { resolve: end, reject: end }));
  },
};

function whenWoken(sources: readonly Source[], owners: readonly Waits[] = []): Promise<readonly number[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly number[]>();
  const stop = watchAll(sources, { resolve, reject });
  for (const owner of owners) owner.add(stop);
  if (owners.length === 0) return promise;
  return promise.finally(() => {
    for (const owner of owners) owner.delete(stop);
  });
}

interface Outcome {
  resolve(ready: readonly number[]): void;
  reject(error: unknown): void;
}

/** Has the event loop watch them until one is ready; the returned function ends that before. */
function watchAll(sources: readonly Source[], outcome: Outcome): () => void {
  const stops: (() => void)[] = [];
  const stop = (): void => {
    for (const one of stops.splice(0)) one();
  };
  const watch = (): void => {
    for (const source of sources)
      for (const part of source.parts?.() ?? [source]) stops.push(...watchSource(part, wake));
  };
  const wake = (): void => {
    stop();
    try {
      const ready = sweep(sources, false);
      if (ready.length > 0) outcome.resolve(ready);
      else watch();
    } catch (error) {
      outcome.reject(error);
    }
  };
  watch();
  return stop;
}

const READABLE = 1;
const WRITABLE = 2;

function watchSource(source: Source, wake: () => void): (() => void)[] {
  const stops: (() => void)[] = [];
  const { readable, writable, deadline } = source;
  if (source.watch !== undefined) stops.push(source.watch(wake));
  if (readable !== undefined) stops.push(watchDescriptor(readable, READABLE, wake));
  if (writable !== undefined) stops.push(watchDescriptor(writable, WRITABLE, wake));
  if (deadline !== undefined) stops.push(wakeAt(deadline, wake));
  return stops;
}

function watchDescriptor(fd: number, events: number, wake: () => void): () => void {
  const token = native.whenReady(fd, events, wake);
  return () => native.stopWaiting(token);
}

/** setTimeout holds 31 bits of milliseconds and may fire early by a fraction of one. */
function wakeAt(deadline: bigint, wake: () => void): () => void {
  const timer = setTimeout(wake, millisecondsUntil(deadline));
  return () => clearTimeout(timer);
}

function millisecondsUntil(deadline: bigint): number {
  const left = deadline - monotonicNow();
  return left <= 0n ? 0 : Math.min(Number((left + 999_999n) / 1_000_000n), 0x7fffffff);
}
