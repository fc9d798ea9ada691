/**
 * The addon's sockets of guests (native/addon/socket.cc). They throw nothing and never wait: they return what the system call does,
 * or minus its errno. An address is 28 bytes that hold a struct sockaddr_in or sockaddr_in6 (wasm-host/network/sockaddr.ts).
 */
export interface NativeSockets {
  /** Family 4 or 6, type 1 (stream) or 2 (datagram). IPv6 only where it is IPv6; SO_REUSEADDR and TCP_NODELAY on streams. */
  socketOpen(family: number, type: number): number;
  socketBind(fd: number, address: Uint8Array): number;
  /** -EINPROGRESS for a stream: it becomes writable, and its option `error` tells how it went. */
  socketConnect(fd: number, address: Uint8Array): number;
  /** A datagram socket without a peer again. */
  socketDisconnect(fd: number): number;
  socketListen(fd: number, backlog: number): number;
  socketAccept(fd: number, peer: Uint8Array): number;
  socketAddress(fd: number, out: Uint8Array): number;
  socketPeer(fd: number, out: Uint8Array): number;
  /** 0 receiving, 1 sending, 2 both. */
  socketShutdown(fd: number, how: number): number;
  socketReceive(fd: number, buffer: Uint8Array, length: number): number;
  socketReceiveFrom(fd: number, buffer: Uint8Array, length: number, peer: Uint8Array): number;
  socketSend(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  socketSendTo(fd: number, bytes: Uint8Array, length: number, address: Uint8Array): number;
  /** Option: a number of wasm-host/network/socket-option.ts. */
  socketOption(fd: number, option: number): number;
  socketSetOption(fd: number, option: number, value: number): number;
}

/** Opaque. */
export interface SocketSet {
  readonly _set: never;
}

/** The addon's sockets of the http server (native/addon/socket_set.cc); a failed system call throws as everywhere else in the addon. */
export interface NativeSocketSets {
  /**
   * Sockets that are watched together. `callback` is called once for all that are ready in one turn of the event loop, with their
   * number; `ready`, which has room for 256 pairs, holds descriptor and events of each: 1 readable, 2 writable, 4 broken. The set keeps
   * the loop alive until it is closed.
   */
  createSocketSet(ready: Int32Array, callback: (count: number) => void): SocketSet;
  /** Adds a socket, or changes its events: 1 readable, 2 writable, for as long as they last. Broken is told in any case. */
  watchSocket(set: SocketSet, fd: number, events: number): void;
  forgetSocket(set: SocketSet, fd: number): void;
  closeSocketSet(set: SocketSet): void;
  /** Whether the peer has said that nothing more comes, and everything before that has been received. */
  socketEnded(fd: number): boolean;
  /** TCP_NODELAY; connections have what their listening socket has. */
  disableNagle(fd: number): void;
}
