import { constants } from "node:os";
import { TandemError } from "../../../src/errors.ts";
import { native } from "../../../src/native.ts";
import { familyOf, formatAddress, type IpAddress, parseAddress } from "../../network/address.ts";
import { emptySockaddr, endpointFrom, sockaddrFrom } from "../../network/sockaddr.ts";

/** A listening socket of the caller's, or where to listen: an IP address, or every address when there is none. */
export type ListenAddress = { readonly fd: number } | { readonly host?: string; readonly port: number };

/** What Linux cuts to net.core.somaxconn anyway. */
const backlog = 4096;
const { EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT } = constants.errno;

const everyIpv4 = Uint8Array.of(0, 0, 0, 0);
const everyIpv6 = new Uint8Array(16);

/**
 * The listening sockets of a server; they are the caller's to close.
 * @throws TandemError `failed_precondition` when the port is taken, `invalid_argument` for what is no IP address
 */
export function openListeners(where: ListenAddress): number[] {
  if ("fd" in where) return [where.fd];
  if (where.host !== undefined) return [listenAt(addressOf(where.host), where.port)];
  const first = listenAt(everyIpv4, where.port);
  try {
    // An IPv6 socket of ours is never one for IPv4 too. Port 0 was any for the first; the second has to be the same.
    return [first, listenAt(everyIpv6, where.port === 0 ? portOf(first) : where.port)];
  } catch (error) {
    if (error instanceof NoSuchFamily) return [first];
    native.close(first);
    throw error;
  }
}

/** Where a socket is bound. */
export function boundAt(fd: number): { readonly host: string; readonly port: number } {
  const name = emptySockaddr();
  const result = native.socketAddress(fd, name);
  if (result < 0) throw systemError("getsockname", -result, `descriptor ${fd}`);
  const { address, port } = endpointFrom(name);
  return { host: formatAddress(address), port };
}

function portOf(fd: number): number {
  return boundAt(fd).port;
}

function addressOf(host: string): IpAddress {
  const address = parseAddress(host);
  if (address === undefined) throw new TandemError("invalid_argument", `http: ${host} is no IP address`);
  return address;
}

/** The machine has no IPv6. */
class NoSuchFamily extends Error {}

function listenAt(address: IpAddress, port: number): number {
  const name = `${formatAddress(address)}:${port}`;
  const fd = native.socketOpen(familyOf(address) === "ipv4" ? 4 : 6, 1);
  if (fd === -EAFNOSUPPORT) throw new NoSuchFamily();
  if (fd < 0) throw systemError("socket", -fd, name);
  const bound = native.socketBind(fd, sockaddrFrom({ address, port }));
  const result = bound < 0 ? bound : native.socketListen(fd, backlog);
  if (result === 0) return fd;
  native.close(fd);
  if (result === -EADDRNOTAVAIL && address === everyIpv6) throw new NoSuchFamily();
  if (result === -EADDRINUSE) throw new TandemError("failed_precondition", `http: ${name} is taken`);
  throw systemError(bound < 0 ? "bind" : "listen", -result, name);
}

function systemError(syscall: string, errno: number, name: string): TandemError {
  const code = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? String(errno);
  return TandemError.from(Object.assign(new Error(`${syscall}: ${code}`), { code }), `http: ${name}`);
}
