import { native } from "../../../../src/native.ts";

const events = { readable: 1, writable: 2 } as const;

/** Waits, on the event loop, for one descriptor at a time; whoever waits can be sent away for good. */
export class DescriptorWait {
  #stop: (() => void) | undefined;
  #stopped = false;

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Resolves once the descriptor is ready, has failed, or `stop` was called. */
  until(fd: number, what: keyof typeof events): Promise<void> {
    return new Promise((resolve) => {
      const token = native.whenReady(fd, events[what], () => {
        this.#stop = undefined;
        resolve();
      });
      this.#stop = () => {
        native.stopWaiting(token);
        resolve();
      };
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#stop?.();
    this.#stop = undefined;
  }
}
