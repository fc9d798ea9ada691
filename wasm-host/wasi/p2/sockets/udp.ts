import type { AddressFamily } from "../../../network/address.ts";
import type { NetworkRules } from "../../../network/network-rules.ts";
import { UdpSocket as Core } from "../../../network/udp-socket.ts";
import { endpointFromWit, type WitSocketAddress } from "../../../network/wit-address.ts";
import { Pollable } from "../poll.ts";
import { done, err, ok } from "../result.ts";
import { alwaysReady, type Waiter } from "../waiting.ts";
import { IncomingDatagramStream, OutgoingDatagramStream, type StreamPair } from "./datagram-streams.ts";
import { type Network, type Outcome, toAddress, toErrorCode, toOutcome } from "./network.ts";

/** The resource `udp-socket` of wasi:sockets/udp 0.2. */
export class UdpSocket {
  readonly #core: Core;
  readonly #waiter: Waiter;
  #binding = false;
  #pair: StreamPair | undefined;

  constructor(core: Core, waiter: Waiter) {
    this.#core = core;
    this.#waiter = waiter;
  }

  startBind(_network: Network, local: WitSocketAddress): Outcome<undefined> {
    if (this.#binding) return err("concurrency-conflict");
    const result = toOutcome(this.#core.bind(endpointFromWit(local)));
    this.#binding = result.tag === "ok";
    return result;
  }

  finishBind(): Outcome<undefined> {
    if (!this.#binding) return err("not-in-progress");
    this.#binding = false;
    return done;
  }

  /** The streams of an earlier call are at their end with it, also when it fails. */
  stream(
    remote: WitSocketAddress | undefined,
  ): Outcome<readonly [IncomingDatagramStream, OutgoingDatagramStream]> {
    if (!this.#core.bound || this.#binding) return err("invalid-state");
    if (this.#pair !== undefined) this.#pair.ended = true;
    if (remote !== undefined) {
      const connected = this.#core.connect(endpointFromWit(remote));
      if (connected.tag === "err") return err(toErrorCode(connected.val));
    } else if (this.#core.remoteAddress().tag === "ok") {
      const disconnected = this.#core.disconnect();
      if (disconnected.tag === "err") return err(toErrorCode(disconnected.val));
    }
    const pair: StreamPair = { socket: this.#core, waiter: this.#waiter, ended: false };
    this.#pair = pair;
    return ok([new IncomingDatagramStream(pair), new OutgoingDatagramStream(pair)]);
  }

  localAddress(): Outcome<WitSocketAddress> {
    return toAddress(this.#core.localAddress());
  }

  remoteAddress(): Outcome<WitSocketAddress> {
    return toAddress(this.#core.remoteAddress());
  }

  addressFamily(): AddressFamily {
    return this.#core.family;
  }

  unicastHopLimit(): Outcome<number> {
    return toOutcome(this.#core.options.hopLimit());
  }

  setUnicastHopLimit(value: number): Outcome<undefined> {
    return toOutcome(this.#core.options.setHopLimit(value));
  }

  receiveBufferSize(): Outcome<bigint> {
    return toOutcome(this.#core.options.receiveBufferSize());
  }

  setReceiveBufferSize(value: bigint): Outcome<undefined> {
    return toOutcome(this.#core.options.setReceiveBufferSize(value));
  }

  sendBufferSize(): Outcome<bigint> {
    return toOutcome(this.#core.options.sendBufferSize());
  }

  setSendBufferSize(value: bigint): Outcome<undefined> {
    return toOutcome(this.#core.options.setSendBufferSize(value));
  }

  /** Binding is all that it would wait for, and that never takes time. */
  subscribe(): Pollable {
    return new Pollable(alwaysReady, this.#waiter);
  }

  [Symbol.dispose](): void {
    this.#core.release();
  }
}

/** wasi:sockets/udp-create-socket 0.2; without a network as with TCP. */
export function createUdpSocket(
  rules: NetworkRules | undefined,
  family: AddressFamily,
  waiter: Waiter,
): Outcome<UdpSocket> {
  const core = rules === undefined ? ok(Core.withoutNetwork(family)) : Core.open(rules, family);
  return core.tag === "err" ? err(toErrorCode(core.val)) : ok(new UdpSocket(core.val, waiter));
}
