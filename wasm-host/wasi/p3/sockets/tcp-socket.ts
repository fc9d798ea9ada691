import type { AddressFamily } from "../../../network/address.ts";
import type { NetworkRules } from "../../../network/network-rules.ts";
import { TcpSocket as Tcp } from "../../../network/tcp-socket.ts";
import { err, ok, type Result } from "../../p2/result.ts";
import type { GuestStream } from "../guest-stream.ts";
import { onCancel } from "../host-call.ts";
import { failedStream, hostStream, iterate, type StreamAndEnd } from "../host-stream.ts";
import { DescriptorWait } from "./descriptor-wait.ts";
import { type ErrorCode, errorCodeOf, named, refused } from "./error-code.ts";
import { endpointOf, toSocketAddress, type WitSocketAddress } from "./socket-address.ts";
import { connectionsOf } from "./tcp-accept.ts";
import { receiveFrom, sendTo } from "./tcp-transfer.ts";

type Outcome<T> = Result<T, ErrorCode>;

const invalidState: ErrorCode = { tag: "invalid-state" };

/** The resource `tcp-socket` of wasi:sockets/types 0.3. Its streams keep the socket open when the guest has dropped it. */
export class TcpSocket {
  readonly #socket: Tcp;
  #sends = false;
  #receives = false;

  constructor(socket: Tcp) {
    this.#socket = socket;
  }

  bind(local: WitSocketAddress): Outcome<undefined> {
    return named(this.#socket.bind(endpointOf(local)));
  }

  async connect(remote: WitSocketAddress): Promise<Outcome<undefined>> {
    const socket = this.#socket;
    const begun = socket.connect(endpointOf(remote));
    if (begun.tag === "err") return refused(begun.val);
    socket.hold();
    try {
      const wait = new DescriptorWait();
      onCancel(() => wait.stop());
      while (!wait.stopped) {
        const outcome = socket.finishConnect();
        if (outcome.tag === "ok" || outcome.val !== "would-block") return named(outcome);
        await wait.until(socket.fd, "writable");
      }
      return err(invalidState);
    } finally {
      socket.release();
    }
  }

  listen(): Outcome<AsyncIterable<TcpSocket>> {
    const begun = this.#socket.listen();
    if (begun.tag === "err") return refused(begun.val);
    // The glue accepts instances of one class only, the one that it was given.
    const Accepted = this.constructor as typeof TcpSocket;
    const { next, close } = connectionsOf(this.#socket);
    const connections = {
      async next(): Promise<TcpSocket | undefined> {
        const accepted = await next(1);
        return accepted === undefined ? undefined : new Accepted(accepted);
      },
      close,
    };
    return ok(iterate(connections, () => {}));
  }

  send(data: GuestStream): Promise<Outcome<undefined>> {
    if (this.#sends || this.#socket.state !== "connected") {
      data[Symbol.dispose]();
      return Promise.resolve(err(invalidState));
    }
    this.#sends = true;
    return sendTo(this.#socket, data);
  }

  receive(): StreamAndEnd<Uint8Array, ErrorCode> {
    if (this.#receives || this.#socket.state !== "connected") return failedStream(invalidState);
    this.#receives = true;
    return hostStream(receiveFrom(this.#socket), errorCodeOf);
  }

  getLocalAddress(): Outcome<WitSocketAddress> {
    const local = this.#socket.localAddress();
    return local.tag === "ok" ? ok(toSocketAddress(local.val)) : refused(local.val);
  }

  getRemoteAddress(): Outcome<WitSocketAddress> {
    const remote = this.#socket.remoteAddress();
    return remote.tag === "ok" ? ok(toSocketAddress(remote.val)) : refused(remote.val);
  }

  getIsListening(): boolean {
    return this.#socket.state === "listening";
  }

  getAddressFamily(): AddressFamily {
    return this.#socket.family;
  }

  setListenBacklogSize(value: bigint): Outcome<undefined> {
    return named(this.#socket.setBacklog(value));
  }

  getKeepAliveEnabled(): Outcome<boolean> {
    return named(this.#socket.options.keepAliveEnabled());
  }

  setKeepAliveEnabled(value: boolean): Outcome<undefined> {
    return named(this.#socket.options.setKeepAliveEnabled(value));
  }

  getKeepAliveIdleTime(): Outcome<bigint> {
    return named(this.#socket.options.keepAliveIdleTime());
  }

  setKeepAliveIdleTime(value: bigint): Outcome<undefined> {
    return named(this.#socket.options.setKeepAliveIdleTime(value));
  }

  getKeepAliveInterval(): Outcome<bigint> {
    return named(this.#socket.options.keepAliveInterval());
  }

  setKeepAliveInterval(value: bigint): Outcome<undefined> {
    return named(this.#socket.options.setKeepAliveInterval(value));
  }

  getKeepAliveCount(): Outcome<number> {
    return named(this.#socket.options.keepAliveCount());
  }

  setKeepAliveCount(value: number): Outcome<undefined> {
    return named(this.#socket.options.setKeepAliveCount(value));
  }

  getHopLimit(): Outcome<number> {
    return named(this.#socket.options.hopLimit());
  }

  setHopLimit(value: number): Outcome<undefined> {
    return named(this.#socket.options.setHopLimit(value));
  }

  getReceiveBufferSize(): Outcome<bigint> {
    return named(this.#socket.options.receiveBufferSize());
  }

  setReceiveBufferSize(value: bigint): Outcome<undefined> {
    return named(this.#socket.options.setReceiveBufferSize(value));
  }

  getSendBufferSize(): Outcome<bigint> {
    return named(this.#socket.options.sendBufferSize());
  }

  setSendBufferSize(value: bigint): Outcome<undefined> {
    return named(this.#socket.options.setSendBufferSize(value));
  }

  [Symbol.dispose](): void {
    this.#socket.release();
  }
}

/** The class for one grant: `create` is the only way to a socket, and it goes by the rules; without any, to no address. */
export function createTcpSocketClass(rules: NetworkRules | undefined): typeof TcpSocket {
  return class extends TcpSocket {
    static create(family: AddressFamily): Outcome<TcpSocket> {
      if (rules === undefined) return ok(new this(Tcp.withoutNetwork(family)));
      const opened = Tcp.open(rules, family);
      return opened.tag === "ok" ? ok(new this(opened.val)) : refused(opened.val);
    }
  };
}
