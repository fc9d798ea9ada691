import type { MadeUpClocks } from "../grant.ts";

const NS_PER_MS = 1_000_000n;

interface Waiting {
  readonly mark: bigint;
  readonly wake: () => void;
}

/**
 * A grant's clocks, which have nothing to do with time: each reading moves them on by a step, and who waits has them moved to what is
 * waited for. The monotonic one begins with 0, the wall clock is as far ahead of it as the grant says.
 */
export class MadeUpClock {
  readonly #startNs: bigint;
  readonly #stepNs: bigint;
  readonly #waiting = new Set<Waiting>();
  #now = 0n;
  #moving = false;

  constructor({ startMs, stepNs }: MadeUpClocks) {
    this.#startNs = BigInt(startMs) * NS_PER_MS;
    this.#stepNs = BigInt(stepNs);
  }

  /** Monotonic nanoseconds, without a reading. */
  get now(): bigint {
    return this.#now;
  }

  /** Nanoseconds since 1970, without a reading. */
  get wall(): bigint {
    return this.#startNs + this.#now;
  }

  /** What they differ by from one reading to the next. */
  get resolution(): bigint {
    return this.#stepNs > 0n ? this.#stepNs : 1n;
  }

  readMonotonic(): bigint {
    this.#now += this.#stepNs;
    return this.#now;
  }

  readWall(): bigint {
    this.#now += this.#stepNs;
    return this.wall;
  }

  /** Somebody has waited until then. Nobody can wait for what is beyond all time: then nothing moves. */
  moveTo(mark: bigint): void {
    if (mark > this.#now && mark < FOREVER) this.#now = mark;
  }

  /**
   * For those who wait by the event loop: calls `wake` when the clocks are at `mark`, which they are once nothing else is to be done
   * and nobody waits for less. The returned function ends that.
   */
  whenAt(mark: bigint, wake: () => void): () => void {
    const waiting = { mark, wake };
    this.#waiting.add(waiting);
    this.#moveSoon();
    return () => this.#waiting.delete(waiting);
  }

  #moveSoon(): void {
    if (this.#moving) return;
    this.#moving = true;
    setImmediate(() => {
      this.#moving = false;
      this.#moveToNext();
    });
  }

  #moveToNext(): void {
    let next: Waiting | undefined;
    for (const one of this.#waiting) if (next === undefined || one.mark < next.mark) next = one;
    if (next === undefined || next.mark >= FOREVER) return;
    this.moveTo(next.mark);
    for (const one of [...this.#waiting]) if (one.mark <= this.#now) this.#wake(one);
    if (this.#waiting.size > 0) this.#moveSoon();
  }

  #wake(waiting: Waiting): void {
    this.#waiting.delete(waiting);
    waiting.wake();
  }
}

/** WASI's nanoseconds have 64 bits. */
const FOREVER = 2n ** 64n - 1n;

const clocks = new WeakMap<MadeUpClocks, MadeUpClock>();

/** The one clock of a grant, by whichever interface it is read; of another instance's grant (anew.ts) another. undefined: the machine's. */
export function clockOf(madeUp: MadeUpClocks | undefined): MadeUpClock | undefined {
  if (madeUp === undefined) return undefined;
  let clock = clocks.get(madeUp);
  if (clock === undefined) {
    clock = new MadeUpClock(madeUp);
    clocks.set(madeUp, clock);
  }
  return clock;
}
