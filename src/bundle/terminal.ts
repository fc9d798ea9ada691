import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import { ReadStream } from "node:tty";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import type { StdioPaths } from "./stdio.ts";

/** The master side of a process's terminal, copied to and from the client's FIFOs. */
export interface Terminal {
  resize(width: number, height: number): void;
  /** Drops the shim's own write end of the stdin FIFO. The master stays open: a terminal has no half-close. */
  closeStdin(): void;
  /** After exit: copies what is left (bounded), then closes everything. Idempotent. */
  close(): Promise<void>;
}

const DRAIN_GRACE_MS = 2_000;

/**
 * Starts copying. Owns `master` from now on.
 *
 * @throws TandemError when a FIFO cannot be opened; `master` is closed then.
 */
export function openTerminal(master: number, paths: StdioPaths): Terminal {
  const opened: number[] = [master];
  try {
    const stdin = paths.stdin === "" ? undefined : fifo(paths.stdin, opened);
    const stdout = paths.stdout === "" ? undefined : fifo(paths.stdout, opened);
    const peer = native.openTerminalPeer(master);
    opened.push(peer);
    return new CopiedTerminal(master, peer, { stdin, stdout });
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw error;
  }
}

/** O_RDWR: the shim's end is its own keeper, so neither a leaving reader nor a leaving writer ends the stream. */
function fifo(path: string, opened: number[]): number {
  try {
    const fd = openSync(path.replace(/^fifo:\/\//, ""), constants.O_RDWR | constants.O_NONBLOCK);
    opened.push(fd);
    return fd;
  } catch (error) {
    throw TandemError.from(error, "terminal");
  }
}

class CopiedTerminal implements Terminal {
  readonly #master: number;
  /**
   * A slave of our own. A master says EIO whenever nobody has the slave open (tty_ioctl(4)), and an init opens its console only
   * for as long as it writes: with this one the end of the screen is the end of the process.
   */
  readonly #peer: number;
  readonly #screen: ReadStream;
  readonly #input: Socket | undefined;
  readonly #output: Socket | undefined;
  readonly #ended: Promise<void>;
  #closed = false;
  #closing: Promise<void> | undefined;

  constructor(
    master: number,
    peer: number,
    { stdin, stdout }: { readonly stdin: number | undefined; readonly stdout: number | undefined },
  ) {
    this.#master = master;
    this.#peer = peer;
    this.#screen = new ReadStream(master);
    this.#input =
      stdin === undefined ? undefined : new Socket({ fd: stdin, readable: true, writable: false });
    this.#output =
      stdout === undefined ? undefined : new Socket({ fd: stdout, readable: false, writable: true });
    this.#ended = new Promise((resolve) => {
      this.#screen.once("close", () => resolve());
      // EIO: the last slave was closed; nothing can be read after any other error either.
      this.#screen.once("error", () => resolve());
      this.#screen.once("end", () => resolve());
    });
    // A FIFO whose client went away must not take the shim down; the keeper in the same descriptor makes this rare.
    this.#input?.on("error", () => this.#input?.destroy());
    this.#output?.on("error", () => this.#output?.destroy());
    this.#input?.on("data", (chunk: Buffer) => {
      if (!this.#screen.writable || this.#closed) return;
      if (!this.#screen.write(chunk)) {
        this.#input?.pause();
        this.#screen.once("drain", () => this.#input?.resume());
      }
    });
    this.#screen.on("data", (chunk: Buffer) => {
      if (this.#output === undefined || this.#output.destroyed) return;
      if (!this.#output.write(chunk)) {
        this.#screen.pause();
        this.#output.once("drain", () => this.#screen.resume());
      }
    });
  }

  resize(width: number, height: number): void {
    if (!this.#closed) native.resizeTerminal(this.#master, width, height);
  }

  closeStdin(): void {
    this.#input?.destroy();
  }

  close(): Promise<void> {
    this.#closing ??= this.#drain();
    return this.#closing;
  }

  async #drain(): Promise<void> {
    closeSync(this.#peer);
    // A grandchild may hold the slave: the wait is bounded.
    await bounded(this.#ended, DRAIN_GRACE_MS);
    this.#closed = true;
    this.#input?.destroy();
    this.#screen.destroy();
    const output = this.#output;
    if (output === undefined || output.destroyed) return;
    await bounded(new Promise<void>((resolve) => output.end(() => resolve())), DRAIN_GRACE_MS);
    output.destroy();
  }
}

async function bounded(promise: Promise<void>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}
