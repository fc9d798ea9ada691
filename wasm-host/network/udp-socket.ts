import { constants } from "node:os";
import { native } from "../../src/native.ts";
import { done, err, ok, type Result } from "../wasi/p2/result.ts";
import { type AddressFamily, type Endpoint, isUnspecified, sameAddress } from "./address.ts";
import { errorCodeFrom, type NetworkErrorCode } from "./error-code.ts";
import { NetworkRules } from "./network-rules.ts";
import { hasFamily, localEndpoint, noDescriptor, OpenSocket, openSocket } from "./open-socket.ts";
import { emptySockaddr, endpointFrom, sockaddrFrom } from "./sockaddr.ts";

type Outcome<T> = Result<T, NetworkErrorCode>;

export interface Datagram {
  readonly data: Uint8Array;
  readonly from: Endpoint;
}

const { EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL } = constants.errno;

const invalidState = err<NetworkErrorCode>("invalid-state");
const invalidArgument = err<NetworkErrorCode>("invalid-argument");
const accessDenied = err<NetworkErrorCode>("access-denied");
const nothing = new NetworkRules({ outbound: [], inbound: [] });

/** No datagram is larger. */
const largestDatagram = 65_535;

/** After that many the guest has its turn again: strangers must not keep it from what it does beside receiving. */
const mostDropped = 64;

const scratch = new Uint8Array(largestDatagram);

/**
 * A UDP socket under the rules of a grant, for wasi:sockets 0.2 and 0.3. Nothing waits: what would says `would-block`.
 *
 * Who may send to others must be able to bind, or there would be no answer; so a port that the kernel picks needs no inbound rule.
 * Such a socket hears only those whom it may send to, one that is bound by a rule hears everybody.
 */
export class UdpSocket extends OpenSocket {
  readonly #rules: NetworkRules;
  #bound = false;
  #hearsEverybody = false;
  #peer: Endpoint | undefined;

  private constructor(fd: number, family: AddressFamily, rules: NetworkRules) {
    super(fd, family);
    this.#rules = rules;
  }

  /** @param rules of the grant; without one every socket is `access-denied` */
  static open(rules: NetworkRules | undefined, family: AddressFamily): Outcome<UdpSocket> {
    if (rules?.allowsProtocol("udp") !== true) return accessDenied;
    const fd = openSocket(family, "datagram");
    if (fd < 0) return err(fd === -EAFNOSUPPORT ? "not-supported" : errorCodeFrom(fd));
    return ok(new UdpSocket(fd, family, rules));
  }

  /** A socket for a guest without a network: it can be made and its options set, as WIT says of every guest, but it gets nowhere. */
  static withoutNetwork(family: AddressFamily): UdpSocket {
    return new UdpSocket(noDescriptor, family, nothing);
  }

  get bound(): boolean {
    return this.#bound;
  }

  bind(local: Endpoint): Outcome<undefined> {
    if (this.#bound) return invalidState;
    if (!hasFamily(local, this.family)) return invalidArgument;
    const { address, port } = local;
    const allowed = this.#rules.allowsBind("udp", address, port);
    if (this.fd === noDescriptor || (!allowed && port !== 0)) return accessDenied;
    const result = native.socketBind(this.fd, sockaddrFrom(local));
    if (result < 0) return err(errorCodeFrom(result));
    this.#hearsEverybody = allowed;
    this.#bound = true;
    return done;
  }

  /** From now on there is one peer only. The socket is bound by it if it was not. */
  connect(remote: Endpoint): Outcome<undefined> {
    const refusal = this.#refusal(remote);
    if (refusal !== undefined) return err(refusal);
    const name = sockaddrFrom(remote);
    let result = native.socketConnect(this.fd, name);
    if (result === -EINVAL) {
      // Linux keeps the local address of the first peer, which may not lead to the second.
      native.socketDisconnect(this.fd);
      result = native.socketConnect(this.fd, name);
    }
    this.#peer = result < 0 ? undefined : remote;
    if (result < 0) return err(result === -EADDRNOTAVAIL ? "address-in-use" : errorCodeFrom(result));
    this.#bound = true;
    return done;
  }

  disconnect(): Outcome<undefined> {
    if (this.#peer === undefined) return invalidState;
    this.#peer = undefined;
    const result = native.socketDisconnect(this.fd);
    return result < 0 ? err(errorCodeFrom(result)) : done;
  }

  /** Sends one datagram, to `remote` or to the peer. A socket that is not bound is bound by it. */
  send(data: Uint8Array, remote: Endpoint | undefined): Outcome<undefined> {
    const peer = this.#peer;
    const target = remote ?? peer;
    if (target === undefined) return invalidArgument;
    if (data.length > largestDatagram) return err("datagram-too-large");
    if (peer !== undefined && remote !== undefined && !samePlace(peer, remote)) return invalidArgument;
    const refusal = this.#refusal(target);
    if (refusal !== undefined) return err(refusal);
    const result =
      peer === undefined
        ? native.socketSendTo(this.fd, data, data.length, sockaddrFrom(target))
        : native.socketSend(this.fd, data, 0, data.length);
    if (result < 0) return err(errorCodeFrom(result));
    this.#bound = true;
    return done;
  }

  /** One datagram. Those that are not for this guest are dropped: from others than the peer, and from whom the rules leave out. */
  receive(): Outcome<Datagram> {
    if (!this.#bound) return invalidState;
    for (let dropped = 0; dropped < mostDropped; dropped++) {
      const name = emptySockaddr();
      const result = native.socketReceiveFrom(this.fd, scratch, largestDatagram, name);
      if (result < 0) return err(errorCodeFrom(result));
      const from = endpointFrom(name);
      if (this.#hears(from)) return ok({ data: scratch.slice(0, result), from });
    }
    return err("would-block");
  }

  localAddress(): Outcome<Endpoint> {
    return this.#bound ? localEndpoint(this.fd) : invalidState;
  }

  remoteAddress(): Outcome<Endpoint> {
    return this.#peer === undefined ? invalidState : ok(this.#peer);
  }

  #refusal(remote: Endpoint): NetworkErrorCode | undefined {
    const { address, port } = remote;
    if (!hasFamily(remote, this.family) || isUnspecified(address) || port === 0) return "invalid-argument";
    return this.#rules.allowsConnect("udp", address, port) ? undefined : "access-denied";
  }

  #hears(from: Endpoint): boolean {
    if (this.#peer !== undefined && !samePlace(this.#peer, from)) return false;
    return this.#hearsEverybody || this.#rules.allowsConnect("udp", from.address, from.port);
  }
}

function samePlace(left: Endpoint, right: Endpoint): boolean {
  return left.port === right.port && sameAddress(left.address, right.address);
}
