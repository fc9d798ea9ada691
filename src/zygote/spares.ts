import { closeSync } from "node:fs";
import { native } from "../native.ts";
import { openRequest } from "./request.ts";
import type { Role } from "./zygote.ts";

/** How many spares of each kind wait; a burst beyond that is forked as it comes. */
const SPARES = 2;

/** How long after a fork that the kernel refused. */
const REST_MS = 5_000;

/** A child that is forked, has touched its pages, and waits for its request. */
interface Spare {
  readonly pid: number;
  readonly pidfd: number;
  /** Our end of the socket on which it waits. */
  readonly socket: number;
}

/** Kinds of which spares are kept, with the pages that such a process is known to need. */
export type SpareKinds = ReadonlyMap<string, { readonly newPid: boolean; readonly pages: Buffer }>;

/**
 * Children forked ahead: a fork and the page faults after it are most of what a shim's or a wasm process's start costs, and
 * nobody needs to wait for either.
 */
export class Spares {
  readonly #kinds: SpareKinds;
  readonly #roles: Readonly<Record<string, Role>>;
  readonly #waiting = new Map<string, Spare[]>();
  #restUntil = 0;

  constructor(kinds: SpareKinds, roles: Readonly<Record<string, Role>>) {
    this.#kinds = kinds;
    this.#roles = roles;
    for (const kind of kinds.keys()) this.#waiting.set(kind, []);
  }

  /** Nothing to do: all are there, or the kernel has just refused one. */
  get isFull(): boolean {
    return (
      Date.now() < this.#restUntil || [...this.#waiting.values()].every((spares) => spares.length >= SPARES)
    );
  }

  /** Hands a request to a spare; undefined when there is none. The pidfd is the caller's. */
  take(
    kind: string,
    data: Uint8Array,
    fds: readonly number[],
  ): { readonly pid: number; readonly pidfd: number } | undefined {
    const spares = this.#waiting.get(kind);
    for (let spare = spares?.shift(); spare !== undefined; spare = spares?.shift()) {
      try {
        native.sendMessage(spare.socket, data, fds);
        return spare;
      } catch {
        // Killed while it waited: the next one, or a fork.
        closeSync(spare.pidfd);
      } finally {
        closeSync(spare.socket);
      }
    }
    return undefined;
  }

  /** Forks one spare of the kind that has fewest. Returns true in the child, when it has taken up its role. */
  refill(closeInherited: () => void): boolean {
    const [kind, spares] = [...this.#waiting].reduce((least, entry) =>
      entry[1].length < least[1].length ? entry : least,
    );
    const { newPid, pages } = this.#kinds.get(kind) ?? { newPid: false, pages: Buffer.alloc(0) };
    let birth: ReturnType<typeof bear>;
    try {
      birth = bear(newPid);
    } catch {
      // No memory, pid or descriptor left: a start that needs a fork will say so. The zygote must outlive that.
      this.#restUntil = Date.now() + REST_MS;
      return false;
    }
    const { child, ours, theirs } = birth;
    if (child.pid === 0) {
      closeSync(ours);
      closeInherited();
      this.closeAll();
      native.setProcessName("tandem-spare");
      native.populatePages(pages);
      this.#await(kind, theirs);
      return true;
    }
    closeSync(theirs);
    spares.push({ ...child, socket: ours });
    return false;
  }

  /** Without its socket a spare ends. */
  closeAll(): void {
    for (const spares of this.#waiting.values()) {
      for (const spare of spares.splice(0)) {
        closeSync(spare.socket);
        closeSync(spare.pidfd);
      }
    }
  }

  #await(kind: string, socket: number): void {
    const message = native.receiveMessage(socket, {});
    closeSync(socket);
    if (message === undefined || message.data.length === 0) native.exitNow(0);
    const request = openRequest(message.data, message.fds);
    this.#roles[kind]?.(request.fields, request.fds);
  }
}

function bear(newPid: boolean): { child: ReturnType<typeof native.fork>; ours: number; theirs: number } {
  const [ours, theirs] = native.socketpair();
  try {
    return { child: native.fork({ newPid }), ours, theirs };
  } catch (error) {
    closeSync(ours);
    closeSync(theirs);
    throw error;
  }
}
