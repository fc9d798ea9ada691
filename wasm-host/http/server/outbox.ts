import { native } from "../../../src/native.ts";

/** Whose bytes are in the outbox: `send` gets what the kernel did not take at once. */
export interface Sender {
  readonly fd: number;
  /** Whether earlier bytes are still waiting: then new ones wait behind them. */
  readonly blocked: boolean;
  keep(bytes: Buffer): void;
  /** The kernel says that there is nobody to send to. */
  broken(): void;
}

/** Who has bytes that may still be all of its answer: they are sent at the end of the turn in any case. */
export interface Committer {
  commit(): void;
}

const room = 256 * 1024;
/** So many are sent before the turn is over. */
const enough = 64 * 1024;

const EAGAIN = 11;

/**
 * Where answers are put together before they are sent: head, chunks and end of a small one leave with one system call. It is one
 * connection's at a time, and what is in it is sent in the same turn of the event loop.
 */
export class Outbox {
  readonly #bytes = Buffer.allocUnsafeSlow(room);
  #used = 0;
  #owner: Sender | undefined;
  #scheduled = false;
  #committers: Committer[] = [];

  /** Latin-1. */
  text(sender: Sender, text: string): void {
    if (text.length > room) {
      this.#long(sender, Buffer.from(text, "latin1"));
      return;
    }
    this.#reserve(sender, text.length);
    this.#used += this.#bytes.write(text, this.#used, "latin1");
  }

  /** Copies them. */
  bytes(sender: Sender, bytes: Uint8Array): void {
    if (bytes.length > room) {
      this.#long(sender, bytes);
      return;
    }
    this.#reserve(sender, bytes.length);
    this.#bytes.set(bytes, this.#used);
    this.#used += bytes.length;
    if (this.#used >= enough) this.flush();
  }

  #long(sender: Sender, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += room) this.bytes(sender, bytes.subarray(at, at + room));
  }

  #reserve(sender: Sender, length: number): void {
    if (this.#owner !== sender || this.#used + length > room) this.flush();
    this.#owner = sender;
    this.#schedule();
  }

  /** Calls `commit` before the turn is over. */
  later(committer: Committer): void {
    this.#committers.push(committer);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    this.#scheduled = false;
    const committers = this.#committers;
    if (committers.length > 0) {
      this.#committers = [];
      for (const committer of committers) committer.commit();
    }
    this.flush();
  };

  /** Sends what is there. */
  flush(): void {
    const owner = this.#owner;
    const length = this.#used;
    this.#owner = undefined;
    this.#used = 0;
    if (owner === undefined || length === 0) return;
    const sent = owner.blocked ? 0 : native.socketSend(owner.fd, this.#bytes, 0, length);
    if (sent < 0 && sent !== -EAGAIN) owner.broken();
    else if (sent < length) owner.keep(Buffer.from(this.#bytes.subarray(Math.max(sent, 0), length)));
  }

  /** Sends this connection's bytes, if they are there. */
  flushFor(sender: Sender): void {
    if (this.#owner === sender) this.flush();
  }

  /** A connection that is gone sends nothing. */
  discardFor(sender: Sender): void {
    if (this.#owner !== sender) return;
    this.#owner = undefined;
    this.#used = 0;
  }
}
