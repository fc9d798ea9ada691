import { native } from "../../src/native.ts";

/** Who has the thread (native/addon/guest_call.cc). */
const HOST = 0;
const GUEST = 1;
const ENDING = 2;

/** A guest that waits, and is to go on. */
export interface Resumption {
  /** Monotonic milliseconds, as `performance.now` has them. */
  readonly deadline: number;
  /** Settles what it waits for. */
  run(): void;
  /** It was ended in the middle of something. */
  onEnded(): void;
}

/**
 * The thread that guests and their host share. A guest has it from one call of the host's to the next, and for so long at most as it is
 * given: one that computes on is ended where it is, by V8, and the host goes on as if nothing had been. The host itself is never ended.
 */
export class GuestThread {
  readonly #turn = native.guestTurn();
  /** From `performance.now` to the clock of the kernel, whose zero is another. */
  readonly #origin = Number(process.hrtime.bigint() / 1_000_000n) - performance.now();
  readonly #computeMs: number;
  #queue: Resumption[] = [];
  #scheduled = false;

  constructor(computeMs: number) {
    this.#computeMs = computeMs;
  }

  /**
   * What runs from now on is the host's, called by a guest. Returns whether a guest has the thread at all: of one that does not, nothing has
   * to be said when it goes on.
   */
  enterHost(): boolean {
    const before = Atomics.compareExchange(this.#turn, 0, GUEST, HOST);
    if (before === ENDING) waitForTheEnd();
    return before === GUEST;
  }

  /** The guest that has called goes on. */
  leaveHost(): void {
    Atomics.store(this.#turn, 0, GUEST);
  }

  /** Has a guest begin with something. Whether it was ended; what it throws is thrown. Not from within what a promise does. */
  start(fn: () => void, deadline: number): boolean {
    return native.runGuest(fn, this.#until(deadline));
  }

  /** Has a guest go on, when whoever has the thread now gives it back. */
  resume(resumption: Resumption): void {
    this.#queue.push(resumption);
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(this.#resumeAll);
  }

  /** One after the other: each has promises of its own do something, and V8 forgets them with a guest that it ends. */
  readonly #resumeAll = (): void => {
    this.#scheduled = false;
    const queue = this.#queue;
    this.#queue = [];
    for (const resumption of queue) {
      const { run, deadline } = resumption;
      if (native.runGuest(run, this.#until(deadline))) resumption.onEnded();
    }
  };

  #until(deadline: number): number {
    return Math.ceil(Math.min(deadline, performance.now() + this.#computeMs) + this.#origin);
  }
}

/** V8 ends what runs where it looks, which is at the end of each round of a loop. */
function waitForTheEnd(): never {
  native.awaitEnding();
  for (;;);
}
