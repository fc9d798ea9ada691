/**
 * The options of sockets that are reached at all, by native/addon/socket.cc's numbers. `error`, `type` (1: a stream)
 * and `listens` are read only, and reading `error` clears it.
 */
export const socketOption = {
  error: 0,
  keepAlive: 1,
  keepAliveIdleSeconds: 2,
  keepAliveIntervalSeconds: 3,
  keepAliveCount: 4,
  hopLimitIpv4: 5,
  hopLimitIpv6: 6,
  receiveBuffer: 7,
  sendBuffer: 8,
  type: 9,
  listens: 10,
} as const;

export type SocketOption = (typeof socketOption)[keyof typeof socketOption];
