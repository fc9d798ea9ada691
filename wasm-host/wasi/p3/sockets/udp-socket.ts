import type { AddressFamily } from "../../../network/address.ts";
import type { NetworkErrorCode } from "../../../network/error-code.ts";
import type { NetworkRules } from "../../../network/network-rules.ts";
import { UdpSocket as Udp } from "../../../network/udp-socket.ts";
import { ok, type Result } from "../../p2/result.ts";
import { onCancel } from "../host-call.ts";
import { DescriptorWait } from "./descriptor-wait.ts";
import { type ErrorCode, named, refused } from "./error-code.ts";
import { endpointOf, toSocketAddress, type WitSocketAddress } from "./socket-address.ts";

type Outcome<T> = Result<T, ErrorCode>;

/** The resource `udp-socket` of wasi:sockets/types 0.3. */
export class UdpSocket {
  readonly #socket: Udp;

  constructor(socket: Udp) {
    this.#socket = socket;
  }

  bind(local: WitSocketAddress): Outcome<undefined> {
    return named(this.#socket.bind(endpointOf(local)));
  }

  connect(remote: WitSocketAddress): Outcome<undefined> {
    return named(this.#socket.connect(endpointOf(remote)));
  }

  disconnect(): Outcome<undefined> {
    return named(this.#socket.disconnect());
  }

  async send(data: Uint8Array, remote: WitSocketAddress | undefined): Promise<Outcome<undefined>> {
    const to = remote === undefined ? undefined : endpointOf(remote);
    return await this.#retry("writable", () => this.#socket.send(data, to));
  }

  async receive(): Promise<Outcome<[Uint8Array, WitSocketAddress]>> {
    const received = await this.#retry("readable", () => this.#socket.receive());
    return received.tag === "ok" ? ok([received.val.data, toSocketAddress(received.val.from)]) : received;
  }

  async #retry<T>(
    what: "readable" | "writable",
    action: () => Result<T, NetworkErrorCode>,
  ): Promise<Outcome<T>> {
    this.#socket.hold();
    try {
      const wait = new DescriptorWait();
      onCancel(() => wait.stop());
      while (!wait.stopped) {
        const outcome = action();
        if (outcome.tag === "ok" || outcome.val !== "would-block") return named(outcome);
        await wait.until(this.#socket.fd, what);
      }
      return refused("invalid-state");
    } finally {
      this.#socket.release();
    }
  }

  getLocalAddress(): Outcome<WitSocketAddress> {
    const local = this.#socket.localAddress();
    return local.tag === "ok" ? ok(toSocketAddress(local.val)) : refused(local.val);
  }

  getRemoteAddress(): Outcome<WitSocketAddress> {
    const remote = this.#socket.remoteAddress();
    return remote.tag === "ok" ? ok(toSocketAddress(remote.val)) : refused(remote.val);
  }

  getAddressFamily(): AddressFamily {
    return this.#socket.family;
  }

  getUnicastHopLimit(): Outcome<number> {
    return named(this.#socket.options.hopLimit());
  }

  setUnicastHopLimit(value: number): Outcome<undefined> {
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
export function createUdpSocketClass(rules: NetworkRules | undefined): typeof UdpSocket {
  return class extends UdpSocket {
    static create(family: AddressFamily): Outcome<UdpSocket> {
      if (rules === undefined) return ok(new this(Udp.withoutNetwork(family)));
      const opened = Udp.open(rules, family);
      return opened.tag === "ok" ? ok(new this(opened.val)) : refused(opened.val);
    }
  };
}
