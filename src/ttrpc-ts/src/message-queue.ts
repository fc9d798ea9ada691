/** Told when a queue takes or gives bytes, so that its connection can stop reading; see `Connection.hold`. */
export interface ByteAccount {
  hold(bytes: number): void;
  release(bytes: number): void;
}

/** What one queued message costs besides its bytes: a flood of empty messages must count too. */
const messageOverhead = 64;

interface Waiter<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: Error) => void;
}

/** The incoming half of a stream: messages wait here until their one reader asks. Abandoning it frees what it holds. */
export class MessageQueue<T> implements AsyncIterableIterator<T, undefined> {
  readonly #account: ByteAccount;
  readonly #onAbandon: (() => void) | undefined;
  readonly #entries: { readonly message: T; readonly cost: number }[] = [];
  readonly #waiters: Waiter<T>[] = [];
  #ended = false;
  #error: Error | undefined;

  constructor(account: ByteAccount, onAbandon?: () => void) {
    this.#account = account;
    this.#onAbandon = onAbandon;
  }

  /** Dropped when the stream has ended. */
  push(message: T, bytes: number): void {
    if (this.#ended) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: message });
      return;
    }
    const cost = bytes + messageOverhead;
    this.#entries.push({ message, cost });
    this.#account.hold(cost);
  }

  /** Ends the stream after what is queued, with `error` if there is one. Later ends change nothing. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    for (const waiter of this.#waiters.splice(0)) this.#settle(waiter);
  }

  /** Drops what is queued: nobody will read it. */
  discard(): void {
    this.end();
    for (const entry of this.#entries.splice(0)) this.#account.release(entry.cost);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const entry = this.#entries.shift();
    if (entry !== undefined) {
      this.#account.release(entry.cost);
      return Promise.resolve({ done: false, value: entry.message });
    }
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      if (this.#ended) this.#settle(waiter);
      else this.#waiters.push(waiter);
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.discard();
    this.#onAbandon?.();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The error is told once; afterwards the stream is simply over. */
  #settle(waiter: Waiter<T>): void {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) waiter.resolve({ done: true, value: undefined });
    else waiter.reject(error);
  }
}
