import { closeSync } from "node:fs";
import { userNamespaceError } from "../isolation/user-namespace.ts";
import { native } from "../native.ts";
import type { ZygoteMessage } from "../native-surface.ts";

/** Making the namespaces and playing a guest a few times takes a fraction of it. */
const BEGIN_TIMEOUT_MS = 20_000;
const READY = Buffer.of(0);

/**
 * Where guests are born of a zygote that rehearses no pods: a child of it, in a user namespace of its own where that gives it the
 * rights to build their wall. It is made for the first guest, and lives as long as the zygote and its guests.
 *
 *   client ── "wasm" … ─▶ zygote ── the same, and the connection ─▶ nursery ── fork ─▶ wasm process
 *          ◀────────────────────────────── answer ────────────────────┘
 */
export class Nursery {
  readonly #become: (socket: number) => void;
  #socket: number | undefined;

  /** @param become in the child: prepares it, says how that went by `tellReady`, and serves `nurserySource` */
  constructor(become: (socket: number) => void) {
    this.#become = become;
  }

  /**
   * Makes it unless it is there. Returns true in the nursery, where `closeInherited` has been called.
   * @throws TandemError why it cannot be made: the kernel forbids user namespaces
   */
  begin(closeInherited: () => void): boolean {
    if (this.#socket !== undefined && isAlive(this.#socket)) return false;
    this.close();
    const [ours, theirs] = native.socketpair();
    const child = native.fork({});
    if (child.pid === 0) {
      closeSync(ours);
      closeInherited();
      this.#become(theirs);
      return true;
    }
    closeSync(theirs);
    closeSync(child.pidfd);
    try {
      awaitReady(ours);
    } catch (error) {
      closeSync(ours);
      throw error;
    }
    this.#socket = ours;
    return false;
  }

  /** The descriptors stay the caller's. */
  pass({ fd, data, fds }: ZygoteMessage): void {
    if (this.#socket === undefined) throw new Error("the nursery was not begun");
    native.sendMessage(this.#socket, data, [fd, ...fds]);
  }

  /** Without its socket the nursery takes no more guests, and ends when it has none. */
  close(): void {
    if (this.#socket !== undefined) closeSync(this.#socket);
    this.#socket = undefined;
  }
}

/** Nothing ever comes from there but its end. */
function isAlive(socket: number): boolean {
  return !native.waitReadable(socket, 0);
}

function awaitReady(socket: number): void {
  const answer = native.receiveMessage(socket, { timeoutMs: BEGIN_TIMEOUT_MS });
  if (answer === undefined || answer.data.length === 0) throw new Error("the nursery ended at once");
  if (answer.data[0] !== READY[0]) throw new Error(answer.data.toString());
}

/** What the nursery says to the zygote, once. */
export function tellReady(socket: number, failure?: unknown): void {
  const what = "a guest of a user who is not root needs a user namespace";
  const answer = failure === undefined ? READY : Buffer.from(userNamespaceError(failure, what).message);
  native.sendMessage(socket, answer, []);
}

/** The requests that come to a nursery, until its zygote ends. */
export function nurserySource(
  socket: number,
  end: () => never,
): {
  next(timeoutMs: number): ZygoteMessage | undefined;
  close(): void;
} {
  return {
    next: (timeoutMs) => {
      if (!native.waitReadable(socket, timeoutMs)) return undefined;
      const message = native.receiveMessage(socket, {});
      const [fd, ...fds] = message?.fds ?? [];
      if (message === undefined || fd === undefined) return end();
      // The zygote has looked who it is.
      return { fd, data: message.data, fds, peerPid: 1 };
    },
    close: () => closeSync(socket),
  };
}
