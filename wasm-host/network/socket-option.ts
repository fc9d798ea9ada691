/** The options of sockets that are reached at all, by native/addon/socket.cc's numbers. `error` is read only, and reading clears it. */
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
} as const;

export type SocketOption = (typeof socketOption)[keyof typeof socketOption];
