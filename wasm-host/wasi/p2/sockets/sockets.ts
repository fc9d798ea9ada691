import type { NetworkGrant } from "../../../grant.ts";
import type { AddressFamily } from "../../../network/address.ts";
import { rulesOf } from "../../../network/rules-of.ts";
import type { Waiter } from "../waiting.ts";
import { IncomingDatagramStream, OutgoingDatagramStream } from "./datagram-streams.ts";
import { ResolveAddressStream, resolveAddresses } from "./ip-name-lookup.ts";
import { Network, networkErrorCode } from "./network.ts";
import { createTcpSocket, TcpSocket } from "./tcp.ts";
import { createUdpSocket, UdpSocket } from "./udp.ts";

/**
 * wasi:sockets 0.2 for one instance. Without a grant every way to the network says `access-denied`.
 * @throws TandemError `invalid_argument` naming the rule of the grant that is wrong
 */
export function createSockets(grant: NetworkGrant | undefined, waiter: Waiter): Record<string, unknown> {
  const rules = rulesOf(grant);
  return {
    "wasi:sockets/network": { Network, networkErrorCode },
    "wasi:sockets/instance-network": { instanceNetwork: () => new Network() },
    "wasi:sockets/ip-name-lookup": {
      ResolveAddressStream,
      resolveAddresses: (_network: Network, name: string) => resolveAddresses(grant, name, waiter),
    },
    "wasi:sockets/tcp": { TcpSocket },
    "wasi:sockets/tcp-create-socket": {
      createTcpSocket: (family: AddressFamily) => createTcpSocket(rules, family, waiter),
    },
    "wasi:sockets/udp": { UdpSocket, IncomingDatagramStream, OutgoingDatagramStream },
    "wasi:sockets/udp-create-socket": {
      createUdpSocket: (family: AddressFamily) => createUdpSocket(rules, family, waiter),
    },
  };
}
