import { type Allowed, equals, masked } from "./wasm-allowed.ts";

/**
 * What a wasm process needs of sockets. Each has a filter of its own:
 * - `none`: a guest without any network
 * - `accept`: listening sockets that it was given, and their connections
 * - `listen`: a TCP port of its own besides, which an http component is served on; it can connect to nobody
 * - `stream`: a grant by which it may connect by TCP, to addresses; it can let nobody in
 * - `connect`: the same by UDP too, or to names, which have to be looked up
 * - `network`: all of it. Which addresses is for the WASI host and the network namespace to say.
 */
export const socketUses = ["none", "accept", "listen", "stream", "connect", "network"] as const;
export type SocketUse = (typeof socketUses)[number];

/** linux/socket.h, linux/in.h */
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
/** Beside the type the argument holds SOCK_CLOEXEC and SOCK_NONBLOCK. */
const SOCK_TYPE_MASK = 0xf;
const MSG_FASTOPEN = 0x20000000;
const SOL_IP = 0;
const SOL_SOCKET = 1;
const SOL_TCP = 6;
const SOL_IPV6 = 41;

interface Option {
  readonly why: string;
  readonly level: number;
  readonly name: number;
}

/** The kernel has some hundred options, for filters, tunnels, multicast and key exchange: these are what the host has a use for. */
const options: readonly Option[] = [
  { why: "SO_REUSEADDR: wasi:sockets, libuv", level: SOL_SOCKET, name: 2 },
  { why: "SO_SNDBUF: wasi:sockets", level: SOL_SOCKET, name: 7 },
  { why: "SO_RCVBUF: wasi:sockets", level: SOL_SOCKET, name: 8 },
  { why: "SO_KEEPALIVE: wasi:sockets, Node's http", level: SOL_SOCKET, name: 9 },
  { why: "SO_LINGER: libuv resets a connection", level: SOL_SOCKET, name: 13 },
  { why: "IP_TTL: wasi:sockets", level: SOL_IP, name: 2 },
  { why: "TCP_NODELAY: the host's sockets, Node's http", level: SOL_TCP, name: 1 },
  { why: "TCP_KEEPIDLE: wasi:sockets, libuv", level: SOL_TCP, name: 4 },
  { why: "TCP_KEEPINTVL: wasi:sockets, libuv", level: SOL_TCP, name: 5 },
  { why: "TCP_KEEPCNT: wasi:sockets, libuv", level: SOL_TCP, name: 6 },
  { why: "IPV6_UNICAST_HOPS: wasi:sockets", level: SOL_IPV6, name: 16 },
  { why: "IPV6_V6ONLY: wasi:sockets", level: SOL_IPV6, name: 26 },
];

/** Besides those that can be set. */
const readOnlyOptions: readonly Option[] = [
  { why: "SO_TYPE: libuv finds out what a descriptor is", level: SOL_SOCKET, name: 3 },
  { why: "SO_ERROR: how a connect ended", level: SOL_SOCKET, name: 4 },
];

function allowOptions(call: string, list: readonly Option[]): Allowed[] {
  return list.map(({ why, level, name }) => ({
    why,
    names: [call],
    args: [equals(1, level), equals(2, name)],
  }));
}

const connections: readonly Allowed[] = [
  { why: "the end of one direction: wasi:sockets, sock_shutdown, libuv", names: ["shutdown"] },
  { why: "whose connection it is", names: ["getsockname", "getpeername"] },
  {
    why: "receiving: wasi:sockets, datagrams with where they are from, sock_recv",
    names: ["recvfrom", "recvmsg"],
  },
  // TCP Fast Open connects by sending.
  { why: "sending: wasi:sockets, never a connect", names: ["sendto"], args: [masked(3, MSG_FASTOPEN, 0)] },
  { why: "sending: sock_send, never a connect", names: ["sendmsg"], args: [masked(2, MSG_FASTOPEN, 0)] },
  ...allowOptions("setsockopt", options),
  ...allowOptions("getsockopt", [...options, ...readOnlyOptions]),
];

/** Without a bind before it, listen takes a port that the kernel picks, and Landlock has no say in it. */
const accepting: readonly Allowed[] = [
  { why: "connections of a listening socket: WASI 0.1 and libuv; the first is accept", names: ["accept4"] },
  {
    why: "wasi:sockets; libuv calls it on a socket that listens already, with its own backlog",
    names: ["listen"],
  },
];

function sockets(type: number, why: string): Allowed[] {
  return [AF_INET, AF_INET6].map((family) => ({
    why,
    names: ["socket"],
    args: [equals(0, family), masked(1, SOCK_TYPE_MASK, type), equals(2, 0)],
  }));
}

const streams: readonly Allowed[] = [
  ...sockets(
    SOCK_STREAM,
    "TCP; no netlink, packet, vsock or unix sockets, no protocol whose module the kernel would have to load",
  ),
  { why: "the port that is listened on; wasi:sockets", names: ["bind"] },
];

const datagrams = sockets(SOCK_DGRAM, "UDP: wasi:sockets, and the questions of the look-up of names");

const connecting: readonly Allowed[] = [
  { why: "wasi:sockets, outgoing http, the look-up of names", names: ["connect"] },
];

/** What is allowed of sockets, call by call. */
export function socketCalls(use: SocketUse): readonly Allowed[] {
  switch (use) {
    case "none":
      return [];
    case "accept":
      return [...connections, ...accepting];
    case "listen":
      return [...connections, ...accepting, ...streams];
    case "stream":
      return [...connections, ...streams, ...connecting];
    case "connect":
      return [...connections, ...streams, ...connecting, ...datagrams];
    case "network":
      return [...connections, ...accepting, ...streams, ...connecting, ...datagrams];
  }
}
