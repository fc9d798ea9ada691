import { native } from "../../../../src/native.ts";

const events = { readable: 1, writable: 2 } as const;

/** Waits, on the event loop, for one descriptor at a time; whoever waits can be sent away. */
export class DescriptorWait {
  #stop: (() => void) | undefined;

  /** Resolves once the descriptor is ready, has failed, or `stop` was called. */
  until(fd: number, what: keyof typeof events): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#stop = undefined;
        resolve();
      };
      const token = native.whenReady(fd, events[what], finish);
      this.#stop = () => {
        native.stopWaiting(token);
        finish();
      };
    });
  }

  stop(): void {
    this.#stop?.();
  }
}
