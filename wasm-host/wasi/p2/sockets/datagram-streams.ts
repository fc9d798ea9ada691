import type { UdpSocket } from "../../../network/udp-socket.ts";
import { endpointFromWit, type WitSocketAddress, witFromEndpoint } from "../../../network/wit-address.ts";
import { Pollable } from "../poll.ts";
import { err, ok } from "../result.ts";
import type { Source, Waiter } from "../waiting.ts";
import { type Outcome, toErrorCode } from "./network.ts";
import { isReady } from "./tcp-streams.ts";

export interface IncomingDatagram {
  readonly data: Uint8Array;
  readonly remoteAddress: WitSocketAddress;
}

export interface OutgoingDatagram {
  readonly data: Uint8Array;
  readonly remoteAddress?: WitSocketAddress | undefined;
}

/** Datagrams of one call: no more are taken from the kernel, or promised to it. */
const mostDatagrams = 16;
const READABLE = 1;
const WRITABLE = 2;

/** Both streams of one call of `stream` end with the next. */
export interface StreamPair {
  readonly socket: UdpSocket;
  readonly waiter: Waiter;
  ended: boolean;
}

const invalidState = err("invalid-state" as const);

/** The resource `incoming-datagram-stream` of wasi:sockets/udp 0.2. */
export class IncomingDatagramStream {
  readonly #pair: StreamPair;
  readonly #source: Source;
  #dropped = false;

  constructor(pair: StreamPair) {
    const { socket } = pair;
    this.#pair = pair;
    socket.hold();
    const awaited = (): number | undefined => (this.#dropped || pair.ended ? undefined : socket.fd);
    this.#source = {
      ready: (polled) => awaited() === undefined || (polled ?? isReady(socket.fd, READABLE)),
      get readable() {
        return awaited();
      },
    };
  }

  receive(maxResults: bigint): Outcome<IncomingDatagram[]> {
    if (this.#pair.ended) return invalidState;
    const datagrams: IncomingDatagram[] = [];
    while (datagrams.length < mostDatagrams && BigInt(datagrams.length) < maxResults) {
      const received = this.#pair.socket.receive();
      if (received.tag === "err") {
        if (received.val === "would-block" || datagrams.length > 0) break;
        return err(toErrorCode(received.val));
      }
      const { data, from } = received.val;
      datagrams.push({ data, remoteAddress: witFromEndpoint(from) });
    }
    return ok(datagrams);
  }

  subscribe(): Pollable {
    return new Pollable(this.#source, this.#pair.waiter);
  }

  [Symbol.dispose](): void {
    this.#dropped = true;
    this.#pair.socket.release();
  }
}

/** The resource `outgoing-datagram-stream` of wasi:sockets/udp 0.2. */
export class OutgoingDatagramStream {
  readonly #pair: StreamPair;
  readonly #source: Source;
  /** What `check-send` promised; one `send` uses it up. */
  #permitted = 0;
  /** The kernel took no more. */
  #full = false;
  #dropped = false;

  constructor(pair: StreamPair) {
    const { socket } = pair;
    this.#pair = pair;
    socket.hold();
    const awaited = (): number | undefined =>
      this.#full && !this.#dropped && !pair.ended ? socket.fd : undefined;
    this.#source = {
      ready: (polled) => awaited() === undefined || (polled ?? isReady(socket.fd, WRITABLE)),
      get writable() {
        return awaited();
      },
    };
  }

  checkSend(): Outcome<bigint> {
    if (this.#pair.ended) return invalidState;
    if (this.#full && this.#source.ready()) this.#full = false;
    this.#permitted = this.#full ? 0 : mostDatagrams;
    return ok(BigInt(this.#permitted));
  }

  /** @throws RangeError, a trap: more than `check-send` permitted */
  send(datagrams: readonly OutgoingDatagram[]): Outcome<bigint> {
    if (this.#pair.ended) return invalidState;
    if (datagrams.length === 0) return ok(0n);
    if (datagrams.length > this.#permitted)
      throw new RangeError(
        `outgoing-datagram-stream.send: ${datagrams.length} datagrams where check-send permitted ${this.#permitted}`,
      );
    this.#permitted = 0;
    let count = 0n;
    for (const { data, remoteAddress } of datagrams) {
      const remote = remoteAddress === undefined ? undefined : endpointFromWit(remoteAddress);
      const sent = this.#pair.socket.send(data, remote);
      if (sent.tag === "ok") count++;
      else if (sent.val === "would-block") {
        this.#full = true;
        break;
      } else if (count > 0n) break;
      else return err(toErrorCode(sent.val));
    }
    return ok(count);
  }

  subscribe(): Pollable {
    return new Pollable(this.#source, this.#pair.waiter);
  }

  [Symbol.dispose](): void {
    this.#dropped = true;
    this.#pair.socket.release();
  }
}
