import { constants } from "node:os";
import { native } from "../../../../src/native.ts";
import { errorCodeFrom, NetworkError } from "../../../network/error-code.ts";
import type { TcpSocket } from "../../../network/tcp-socket.ts";
import { type InputSource, type OutputSink, StreamClosed } from "../streams.ts";
import type { Source, Waiter } from "../waiting.ts";

const { EAGAIN, EPIPE } = constants.errno;
const READABLE = 1;
const WRITABLE = 2;

/** One receive is at most this, and so much is accepted of a guest beyond what the kernel takes. */
const bufferBytes = 65_536;
const scratch = new Uint8Array(bufferBytes);

export function isReady(fd: number, events: number): boolean {
  return native.pollAll(Int32Array.of(fd, events), 1, 0) > 0;
}

/** What a connection brings. Holds the socket until it is closed. */
export class TcpInput implements InputSource {
  /** The last read got all it asked for, so there is more, most likely. */
  eager = false;
  readonly source: Source;
  readonly #socket: TcpSocket;
  #ended = false;

  constructor(socket: TcpSocket) {
    this.#socket = socket;
    socket.hold();
    const awaited = (): number | undefined => (this.#isOpen() ? socket.fd : undefined);
    this.source = {
      ready: (polled) => !this.#isOpen() || (polled ?? isReady(socket.fd, READABLE)),
      get readable() {
        return awaited();
      },
    };
  }

  read(length: number): Uint8Array | undefined {
    if (!this.#isOpen()) return undefined;
    if (length === 0) return new Uint8Array(0);
    const wanted = Math.min(length, bufferBytes);
    const count = this.#socket.receive(scratch, wanted);
    this.eager = count === wanted;
    // A copy: whoever resumes later must not find the next one's bytes in it.
    if (count > 0) return scratch.slice(0, count);
    if (count === -EAGAIN) return new Uint8Array(0);
    this.#ended = true;
    if (count === 0) return undefined;
    throw new NetworkError(errorCodeFrom(count));
  }

  close(): void {
    this.#ended = true;
    this.#socket.release();
  }

  #isOpen(): boolean {
    return !this.#ended && this.#socket.receiving;
  }
}

/**
 * What goes into a connection. What the kernel does not take at once is kept, at most one write, and sent in the background; until
 * then nothing more is accepted. Holds the socket until it is closed and everything has left.
 */
export class TcpOutput implements OutputSink {
  readonly source: Source;
  readonly #socket: TcpSocket;
  readonly #waiter: Waiter;
  #kept = new Uint8Array(0);
  #failure: number | undefined;
  #isOpen = true;
  /** To be done when the last byte has left. */
  #afterwards: (() => void)[] = [];

  constructor(socket: TcpSocket, waiter: Waiter) {
    this.#socket = socket;
    this.#waiter = waiter;
    socket.hold();
    const awaited = (): number | undefined => (this.#kept.length > 0 ? socket.fd : undefined);
    this.source = {
      ready: (polled) =>
        this.#kept.length === 0 || ((polled ?? isReady(socket.fd, WRITABLE)) && this.#drain()),
      get writable() {
        return awaited();
      },
    };
  }

  capacity(): number | undefined {
    this.#throwFailure();
    if (!this.#isOpen) return undefined;
    return this.#kept.length > 0 ? 0 : bufferBytes;
  }

  write(bytes: Uint8Array): void {
    const sent = this.#send(bytes);
    this.#throwFailure();
    if (sent === bytes.length) return;
    // The bytes are a view of the guest's memory.
    this.#kept = bytes.slice(sent);
    this.#waiter.inBackground(this.source);
  }

  flush(): Source {
    this.#throwFailure();
    if (!this.#isOpen) throw new StreamClosed();
    return this.source;
  }

  /** The guest's `shutdown`: nothing more is accepted, and the connection's end follows the last byte. */
  end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#whenSent(() => this.#socket.shutdown("send"));
  }

  close(): void {
    this.end();
    this.#whenSent(() => this.#socket.release());
  }

  #whenSent(then: () => void): void {
    if (this.#kept.length === 0) then();
    else this.#afterwards.push(then);
  }

  /** How many were taken; -EAGAIN is none. */
  #send(bytes: Uint8Array): number {
    const sent = this.#socket.send(bytes);
    if (sent >= 0) return sent;
    if (sent !== -EAGAIN) this.#failure = -sent;
    return 0;
  }

  /** Whether nothing is kept any more: it has been sent, or never can be. */
  #drain(): boolean {
    if (this.#kept.length === 0) return true;
    this.#kept = this.#kept.subarray(this.#send(this.#kept));
    if (this.#failure !== undefined) this.#kept = new Uint8Array(0);
    if (this.#kept.length > 0) return false;
    for (const then of this.#afterwards.splice(0)) then();
    return true;
  }

  /** Once; afterwards the stream is closed. A peer that takes nothing any more closes it without an error. */
  #throwFailure(): void {
    const failure = this.#failure;
    if (failure === undefined) return;
    this.#failure = undefined;
    this.#isOpen = false;
    throw failure === EPIPE ? new StreamClosed() : new NetworkError(errorCodeFrom(failure));
  }
}
