import { native } from "../../src/native.ts";
import { familyOf, type IpAddress } from "./address.ts";
import { closeSocket, openSocket } from "./open-socket.ts";
import { emptySockaddr, endpointFrom, sockaddrFrom } from "./sockaddr.ts";

/** Any port will do: nothing is sent. */
const SOME_PORT = 53;

/**
 * The order in which to try addresses, the gist of RFC 6724: those that there is a route to first, of these IPv6 first, unless all
 * that this pod has of IPv6 is an address of its own network (fc00::/7) and the target is outside. Asks the kernel by connecting a
 * datagram socket, which sends nothing, and only when there is a choice of families.
 */
export function sortByReach(addresses: readonly IpAddress[]): readonly IpAddress[] {
  const families = new Set(addresses.map(familyOf));
  if (families.size < 2) return addresses;
  const ranks = new Map(addresses.map((address) => [address, rank(address)]));
  return addresses.toSorted((left, right) => (ranks.get(left) ?? 0) - (ranks.get(right) ?? 0));
}

function rank(address: IpAddress): number {
  const source = sourceFor(address);
  if (source === undefined) return 3;
  if (address.length === 4) return 1;
  return isUniqueLocal(source) && !isUniqueLocal(address) ? 2 : 0;
}

/** The address that a datagram would come from; undefined without a route. */
function sourceFor(address: IpAddress): IpAddress | undefined {
  const fd = openSocket(familyOf(address), "datagram");
  if (fd < 0) return undefined;
  try {
    if (native.socketConnect(fd, sockaddrFrom({ address, port: SOME_PORT })) < 0) return undefined;
    const name = emptySockaddr();
    return native.socketAddress(fd, name) < 0 ? undefined : endpointFrom(name).address;
  } finally {
    closeSocket(fd);
  }
}

function isUniqueLocal(address: IpAddress): boolean {
  return ((address[0] ?? 0) & 0xfe) === 0xfc;
}
