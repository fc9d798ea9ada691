import type { TandemError } from "../errors.ts";
import type { Call } from "./call.ts";

/** What changes one container, in the order in which it came, whatever the verb. */
interface Queue {
  last: Promise<unknown>;
  readonly calls: Set<Call>;
}

/** The order of what this server's calls do to containers. */
export class Changes {
  readonly #queues = new Map<string, Queue>();

  /**
   * Runs work once all that came before it for the same container is over.
   *
   * @param container its directory
   * @throws whatever the call was interrupted with; else as `work`
   */
  async alone<T>(container: string, call: Call, work: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(container) ?? { last: Promise.resolve(), calls: new Set() };
    this.#queues.set(container, queue);
    const workUnlessInterrupted = (): Promise<T> => {
      call.interrupted.throwIfAborted();
      return work();
    };
    const result = queue.last.then(workUnlessInterrupted, workUnlessInterrupted);
    queue.last = result;
    queue.calls.add(call);
    try {
      return await result;
    } catch (error) {
      // What it says otherwise is that its pieces were taken away.
      throw call.interrupted.aborted ? call.interrupted.reason : error;
    } finally {
      queue.calls.delete(call);
      if (queue.last === result) this.#queues.delete(container);
    }
  }

  /** Has all that is under way for a container, or waits for it, end soon. */
  interrupt(container: string, reason: TandemError): void {
    for (const call of this.#queues.get(container)?.calls ?? []) call.interrupt(reason);
  }
}
