import type { TandemError } from "../errors.ts";
import type { Call } from "./call.ts";

/** What this server's calls do to containers: in which order, and how it is cut short. A container is named by its directory. */
export class Changes {
  /** The end of the last of those that wait for each other. */
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #calls = new Map<string, Set<Call>>();

  /**
   * Runs work once all that came before it for the same container is over, whatever the verb.
   *
   * @param whenBusy looks, before it waits, whether there is any use in that: what is under way may be a hook that has just called us
   * @throws whatever the call was interrupted with; else as `work` and `whenBusy`
   */
  async alone<T>(
    container: string,
    call: Call,
    { work, whenBusy }: { readonly work: () => Promise<T>; readonly whenBusy?: (() => void) | undefined },
  ): Promise<T> {
    const last = this.#last.get(container);
    if (last !== undefined) whenBusy?.();
    const workUnlessInterrupted = (): Promise<T> => {
      call.interrupted.throwIfAborted();
      return work();
    };
    const before = last ?? Promise.resolve();
    const result = before.then(workUnlessInterrupted, workUnlessInterrupted);
    this.#last.set(container, result);
    try {
      return await this.interruptible(container, call, () => result);
    } finally {
      if (this.#last.get(container) === result) this.#last.delete(container);
    }
  }

  /** Runs work that `interrupt` reaches, beside whatever else is done. @throws whatever the call was interrupted with; else as `work` */
  async interruptible<T>(container: string, call: Call, work: () => Promise<T>): Promise<T> {
    const calls = this.#calls.get(container) ?? new Set();
    if (calls.has(call)) return await work();
    this.#calls.set(container, calls.add(call));
    try {
      return await work();
    } catch (error) {
      // What it says otherwise is that its pieces were taken away.
      throw call.interrupted.aborted ? call.interrupted.reason : error;
    } finally {
      calls.delete(call);
      if (calls.size === 0 && this.#calls.get(container) === calls) this.#calls.delete(container);
    }
  }

  /** Has all that is under way for a container, or waits for it, end soon. */
  interrupt(container: string, reason: TandemError): void {
    for (const call of this.#calls.get(container) ?? []) call.interrupt(reason);
  }
}
