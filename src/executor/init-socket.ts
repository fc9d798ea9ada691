import { closeSync } from "node:fs";
import { getSystemErrorName } from "node:util";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { type InitMessage, parseInitMessage, toInit } from "./init-protocol.ts";

/** The shim's end of the dialogue with one container-init. */
export class InitSocket {
  #fd: number;

  /** Owns the descriptor from now on. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  send(message: keyof typeof toInit, fds: readonly number[] = []): void {
    try {
      native.sendMessage(this.#fd, Uint8Array.of(toInit[message]), fds);
    } catch (error) {
      // Its last words are still in the socket, and the reader of them reports the end.
      if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
    }
  }

  /**
   * The next message.
   *
   * @throws TandemError deadline_exceeded when `signal` fires first
   */
  async receive(signal?: AbortSignal): Promise<InitMessage> {
    if (signal?.aborted === true) throw aborted();
    const { promise, resolve, reject } = Promise.withResolvers<InitMessage>();
    const stop = native.onReadable(this.#fd, () => {
      try {
        const received = native.receiveMessage(this.#fd, { nonBlocking: true });
        if (received !== undefined) resolve(parseInitMessage(received.data, received.fds));
      } catch (error) {
        // ECONNRESET: it ended with something of ours unread.
        if ((error as NodeJS.ErrnoException).code === "ECONNRESET") resolve({ kind: "end" });
        else reject(TandemError.from(error));
      }
    });
    const abort = (): void => reject(aborted());
    signal?.addEventListener("abort", abort);
    try {
      return await promise;
    } finally {
      stop();
      signal?.removeEventListener("abort", abort);
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

function aborted(): TandemError {
  return new TandemError("deadline_exceeded", "container-init took too long");
}

/** What container-init's last words mean to the caller. */
export function toInitError({ errno, text }: { readonly errno: number; readonly text: string }): TandemError {
  const code = errno === 0 ? undefined : getSystemErrorName(-errno);
  return TandemError.from(Object.assign(new Error(text), { code }));
}
