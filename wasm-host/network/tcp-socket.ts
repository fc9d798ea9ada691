import { constants } from "node:os";
import { native } from "../../src/native.ts";
import { done, err, ok, type Result } from "../wasi/p2/result.ts";
import { type AddressFamily, type Endpoint, isBroadcast, isMulticast, isUnspecified } from "./address.ts";
import { errorCodeFrom, type NetworkErrorCode } from "./error-code.ts";
import { NetworkRules } from "./network-rules.ts";
import {
  acceptSocket,
  hasFamily,
  localEndpoint,
  noDescriptor,
  OpenSocket,
  openSocket,
} from "./open-socket.ts";
import { emptySockaddr, endpointFrom, sockaddrFrom } from "./sockaddr.ts";
import { socketOption } from "./socket-option.ts";

type Outcome<T> = Result<T, NetworkErrorCode>;
export type ShutdownType = "receive" | "send" | "both";
export type TcpState = "unbound" | "bound" | "listening" | "connecting" | "connected" | "closed";

const { EADDRNOTAVAIL, EAGAIN, EINPROGRESS, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOTCONN } = constants.errno;
const shutdownHow: Readonly<Record<ShutdownType, number>> = { receive: 0, send: 1, both: 2 };

const invalidState = err<NetworkErrorCode>("invalid-state");
const invalidArgument = err<NetworkErrorCode>("invalid-argument");
const accessDenied = err<NetworkErrorCode>("access-denied");
const nothing = new NetworkRules({ outbound: [], inbound: [] });

/** What Linux cuts to net.core.somaxconn anyway. */
const defaultBacklog = 128;
const largestBacklog = 0x7fff_ffff;

/**
 * A TCP socket under the rules of a grant: the state machine that wasi:sockets 0.2 and 0.3 share. Nothing waits; what would says
 * `would-block` (transfers: -EAGAIN), and `native.whenReady` or `pollAll` on `fd` tell when to come back: writable ends a connect,
 * readable announces a connection to accept or bytes to receive.
 *
 * Source: WebAssembly/WASI, proposals/sockets/TcpSocketOperationalSemantics.md and the types' documentation in WIT.
 */
export class TcpSocket extends OpenSocket {
  readonly #rules: NetworkRules;
  #state: TcpState = "unbound";
  /** Bound where an inbound rule lets others in; a client that picks its own address needs none. */
  #mayListen = false;
  #backlog = defaultBacklog;
  #receiving = true;
  #sending = true;

  private constructor(fd: number, family: AddressFamily, rules: NetworkRules) {
    super(fd, family);
    this.#rules = rules;
  }

  /** @param rules of the grant; without one every socket is `access-denied` */
  static open(rules: NetworkRules | undefined, family: AddressFamily): Outcome<TcpSocket> {
    if (rules?.allowsProtocol("tcp") !== true) return accessDenied;
    const fd = openSocket(family, "stream");
    if (fd < 0) return err(fd === -constants.errno.EAFNOSUPPORT ? "not-supported" : errorCodeFrom(fd));
    return ok(new TcpSocket(fd, family, rules));
  }

  /** A socket for a guest without a network: it can be made and its options set, as WIT says of every guest, but it gets nowhere. */
  static withoutNetwork(family: AddressFamily): TcpSocket {
    return new TcpSocket(noDescriptor, family, nothing);
  }

  get state(): TcpState {
    return this.#state;
  }

  bind(local: Endpoint): Outcome<undefined> {
    if (this.#state !== "unbound") return invalidState;
    const { address, port } = local;
    if (!hasFamily(local, this.family) || isMulticast(address) || isBroadcast(address))
      return invalidArgument;
    const mayListen = this.#rules.allowsBind("tcp", address, port);
    if (this.fd === noDescriptor || (!mayListen && port !== 0)) return accessDenied;
    const result = native.socketBind(this.fd, sockaddrFrom(local));
    if (result < 0) return err(errorCodeFrom(result));
    this.#mayListen = mayListen;
    this.#state = "bound";
    return done;
  }

  /** Begins to connect; `finishConnect` tells how it went. A refusal by the rules leaves the socket as it was, others close it. */
  connect(remote: Endpoint): Outcome<undefined> {
    if (this.#state !== "unbound" && this.#state !== "bound") return invalidState;
    const { address, port } = remote;
    if (!hasFamily(remote, this.family) || port === 0) return invalidArgument;
    if (isUnspecified(address) || isMulticast(address) || isBroadcast(address)) return invalidArgument;
    if (!this.#rules.allowsConnect("tcp", address, port)) return accessDenied;
    const result = native.socketConnect(this.fd, sockaddrFrom(remote));
    if (result === 0 || result === -EINPROGRESS) {
      this.#state = "connecting";
      return done;
    }
    this.#state = "closed";
    return err(connectError(result));
  }

  /** `would-block` while it goes on, `not-in-progress` when nothing does. */
  finishConnect(): Outcome<undefined> {
    if (this.#state !== "connecting") return err("not-in-progress");
    if (native.pollAll(Int32Array.of(this.fd, 2), 1, 0) === 0) return err("would-block");
    const error = native.socketOption(this.fd, socketOption.error);
    this.#state = error === 0 ? "connected" : "closed";
    return error === 0 ? done : err(connectError(error));
  }

  /** A socket that is not bound yet gets a port of the kernel's on every address, if the rules allow that. */
  listen(): Outcome<undefined> {
    if (this.#state === "unbound") {
      const address = new Uint8Array(this.family === "ipv4" ? 4 : 16);
      if (!this.#rules.allowsBind("tcp", address, 0)) return accessDenied;
      const bound = this.bind({ address, port: 0 });
      if (bound.tag === "err") return bound;
    }
    if (this.#state !== "bound") return invalidState;
    if (!this.#mayListen) return accessDenied;
    const result = native.socketListen(this.fd, this.#backlog);
    if (result < 0) return err(errorCodeFrom(result));
    this.#state = "listening";
    return done;
  }

  /** A connection that is there. What Linux tells of one that went wrong meanwhile (accept(2)) is `connection-aborted`. */
  accept(): Outcome<TcpSocket> {
    if (this.#state !== "listening") return invalidState;
    const fd = acceptSocket(this.fd);
    if (fd < 0) return err(ofListener.has(-fd) ? errorCodeFrom(fd) : "connection-aborted");
    const socket = new TcpSocket(fd, this.family, this.#rules);
    socket.#state = "connected";
    return ok(socket);
  }

  /** 0 is refused, other values are hints. */
  setBacklog(value: bigint): Outcome<undefined> {
    if (value === 0n) return invalidArgument;
    if (this.#state === "connecting" || this.#state === "connected" || this.#state === "closed")
      return invalidState;
    this.#backlog = value < largestBacklog ? Number(value) : largestBacklog;
    if (this.#state !== "listening") return done;
    const result = native.socketListen(this.fd, this.#backlog);
    return result < 0 ? err(errorCodeFrom(result)) : done;
  }

  localAddress(): Outcome<Endpoint> {
    return this.#state === "unbound" || this.#state === "closed" ? invalidState : localEndpoint(this.fd);
  }

  remoteAddress(): Outcome<Endpoint> {
    if (this.#state !== "connected") return invalidState;
    const name = emptySockaddr();
    const result = native.socketPeer(this.fd, name);
    return result < 0 ? err(errorCodeFrom(result)) : ok(endpointFrom(name));
  }

  /** Up to `length` bytes into `buffer`: how many, 0 at the end, or minus an errno. */
  receive(buffer: Uint8Array, length: number): number {
    // Linux goes on delivering after shutdown(SHUT_RD).
    return this.#receiving ? native.socketReceive(this.fd, buffer, length) : 0;
  }

  /** How many of the bytes from `offset` on were taken, or minus an errno; EPIPE once the connection is broken. */
  send(bytes: Uint8Array, offset = 0): number {
    return native.socketSend(this.fd, bytes, offset, bytes.length - offset);
  }

  get receiving(): boolean {
    return this.#receiving;
  }

  get sending(): boolean {
    return this.#sending;
  }

  /** Once more is no error, nor is a peer that has ended the connection already. */
  shutdown(type: ShutdownType): Outcome<undefined> {
    if (this.#state !== "connected") return invalidState;
    if (type !== "send") this.#receiving = false;
    if (type !== "receive") this.#sending = false;
    const result = native.socketShutdown(this.fd, shutdownHow[type]);
    return result < 0 && result !== -ENOTCONN ? err(errorCodeFrom(result)) : done;
  }
}

/** Errors of accept that are about the listener and not about the connection. */
const ofListener = new Set([EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, constants.errno.EPERM]);

/** There are no ephemeral ports left (connect(2)). */
function connectError(error: number): NetworkErrorCode {
  return Math.abs(error) === EADDRNOTAVAIL ? "address-in-use" : errorCodeFrom(error);
}
