import type { AddressFamily } from "../../../network/address.ts";
import type { NetworkRules } from "../../../network/network-rules.ts";
import { TcpSocket as Core, type ShutdownType } from "../../../network/tcp-socket.ts";
import { endpointFromWit, type WitSocketAddress } from "../../../network/wit-address.ts";
import { Pollable } from "../poll.ts";
import { done, err, ok } from "../result.ts";
import { InputStream, OutputStream } from "../streams.ts";
import type { Source, Waiter } from "../waiting.ts";
import { type ErrorCode, type Network, type Outcome, toAddress, toErrorCode, toOutcome } from "./network.ts";
import { isReady, TcpInput, TcpOutput } from "./tcp-streams.ts";

const concurrencyConflict = err<ErrorCode>("concurrency-conflict");
const notInProgress = err<ErrorCode>("not-in-progress");
const READABLE = 1;
const WRITABLE = 2;

type Streams = readonly [InputStream, OutputStream];

/** The resource `tcp-socket` of wasi:sockets/tcp 0.2: the core's socket, with the operations in two steps that 0.2 has. */
export class TcpSocket {
  readonly #core: Core;
  readonly #waiter: Waiter;
  readonly #source: Source;
  #inProgress: "bind" | "connect" | "listen" | undefined;
  #output: TcpOutput | undefined;
  #dropped = false;

  constructor(core: Core, waiter: Waiter) {
    this.#core = core;
    this.#waiter = waiter;
    const awaits = (state: Core["state"]): number | undefined =>
      core.state === state && !this.#dropped ? core.fd : undefined;
    this.#source = {
      ready: (polled) => {
        const events = (awaits("connecting") && WRITABLE) || (awaits("listening") && READABLE);
        return events === undefined || (polled ?? isReady(core.fd, events));
      },
      get readable() {
        return awaits("listening");
      },
      get writable() {
        return awaits("connecting");
      },
    };
  }

  startBind(_network: Network, local: WitSocketAddress): Outcome<undefined> {
    if (this.#inProgress !== undefined) return concurrencyConflict;
    return this.#begin("bind", toOutcome(this.#core.bind(endpointFromWit(local))));
  }

  finishBind(): Outcome<undefined> {
    return this.#finish("bind");
  }

  startConnect(_network: Network, remote: WitSocketAddress): Outcome<undefined> {
    if (this.#inProgress !== undefined) return concurrencyConflict;
    return this.#begin("connect", toOutcome(this.#core.connect(endpointFromWit(remote))));
  }

  finishConnect(): Outcome<Streams> {
    if (this.#inProgress !== "connect") return notInProgress;
    const result = this.#core.finishConnect();
    if (result.tag === "err" && result.val === "would-block") return err("would-block");
    this.#inProgress = undefined;
    return result.tag === "err" ? err(toErrorCode(result.val)) : ok(this.#openStreams());
  }

  startListen(): Outcome<undefined> {
    if (this.#inProgress !== undefined) return concurrencyConflict;
    // The core would bind it; 0.2 wants that said.
    if (this.#core.state === "unbound") return err("invalid-state");
    return this.#begin("listen", toOutcome(this.#core.listen()));
  }

  finishListen(): Outcome<undefined> {
    return this.#finish("listen");
  }

  accept(): Outcome<readonly [TcpSocket, InputStream, OutputStream]> {
    const accepted = this.#core.accept();
    if (accepted.tag === "err") return err(toErrorCode(accepted.val));
    const socket = new TcpSocket(accepted.val, this.#waiter);
    return ok([socket, ...socket.#openStreams()]);
  }

  localAddress(): Outcome<WitSocketAddress> {
    return toAddress(this.#core.localAddress());
  }

  remoteAddress(): Outcome<WitSocketAddress> {
    return toAddress(this.#core.remoteAddress());
  }

  isListening(): boolean {
    return this.#core.state === "listening";
  }

  addressFamily(): AddressFamily {
    return this.#core.family;
  }

  setListenBacklogSize(value: bigint): Outcome<undefined> {
    return toOutcome(this.#core.setBacklog(value));
  }

  keepAliveEnabled(): Outcome<boolean> {
    return toOutcome(this.#core.options.keepAliveEnabled());
  }

  setKeepAliveEnabled(value: boolean): Outcome<undefined> {
    return toOutcome(this.#core.options.setKeepAliveEnabled(value));
  }

  keepAliveIdleTime(): Outcome<bigint> {
    return toOutcome(this.#core.options.keepAliveIdleTime());
  }

  setKeepAliveIdleTime(value: bigint): Outcome<undefined> {
    return toOutcome(this.#core.options.setKeepAliveIdleTime(value));
  }

  keepAliveInterval(): Outcome<bigint> {
    return toOutcome(this.#core.options.keepAliveInterval());
  }

  setKeepAliveInterval(value: bigint): Outcome<undefined> {
    return toOutcome(this.#core.options.setKeepAliveInterval(value));
  }

  keepAliveCount(): Outcome<number> {
    return toOutcome(this.#core.options.keepAliveCount());
  }

  setKeepAliveCount(value: number): Outcome<undefined> {
    return toOutcome(this.#core.options.setKeepAliveCount(value));
  }

  hopLimit(): Outcome<number> {
    return toOutcome(this.#core.options.hopLimit());
  }

  setHopLimit(value: number): Outcome<undefined> {
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

  subscribe(): Pollable {
    return new Pollable(this.#source, this.#waiter);
  }

  /** What the guest has written leaves first. */
  shutdown(type: ShutdownType): Outcome<undefined> {
    if (this.#core.state !== "connected") return err("invalid-state");
    if (type !== "receive") this.#output?.end();
    return type === "send" ? done : toOutcome(this.#core.shutdown("receive"));
  }

  [Symbol.dispose](): void {
    this.#dropped = true;
    this.#core.release();
  }

  #begin(operation: "bind" | "connect" | "listen", result: Outcome<undefined>): Outcome<undefined> {
    if (result.tag === "ok") this.#inProgress = operation;
    return result;
  }

  #finish(operation: "bind" | "listen"): Outcome<undefined> {
    if (this.#inProgress !== operation) return notInProgress;
    this.#inProgress = undefined;
    return done;
  }

  #openStreams(): Streams {
    this.#output = new TcpOutput(this.#core, this.#waiter);
    return [
      new InputStream(new TcpInput(this.#core), this.#waiter),
      new OutputStream(this.#output, this.#waiter),
    ];
  }
}

/** wasi:sockets/tcp-create-socket 0.2. Without a network there are sockets, as WIT says of every guest, but they get nowhere. */
export function createTcpSocket(
  rules: NetworkRules | undefined,
  family: AddressFamily,
  waiter: Waiter,
): Outcome<TcpSocket> {
  const core = rules === undefined ? ok(Core.withoutNetwork(family)) : Core.open(rules, family);
  return core.tag === "err" ? err(toErrorCode(core.val)) : ok(new TcpSocket(core.val, waiter));
}
