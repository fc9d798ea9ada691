import { isIPv4, isIPv6 } from "node:net";

/** 4 bytes of an IPv4 address, or 16 of an IPv6 one, in network order. */
export type IpAddress = Uint8Array;

export type AddressFamily = "ipv4" | "ipv6";

/** Where a socket is, or is to go. */
export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
  /** Of IPv6 only; 0 when absent. */
  readonly flowInfo?: number;
  readonly scopeId?: number;
}

export function familyOf(address: IpAddress): AddressFamily {
  return address.length === 4 ? "ipv4" : "ipv6";
}

/** The address that a text is, in the usual spellings: dotted decimal, or RFC 4291's without brackets and zone; undefined for others. */
export function parseAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split("."), Number);
  return isIPv6(text) && !text.includes("%") ? parseIpv6(text) : undefined;
}

/** The text has been found to be an IPv6 address. */
function parseIpv6(text: string): IpAddress {
  const [head = "", tail] = text.split("::");
  const front = groupsOf(head);
  const back = tail === undefined ? [] : groupsOf(tail);
  const groups = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return addressFromGroups(groups);
}

function groupsOf(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** @param groups eight numbers of 16 bits */
export function addressFromGroups(groups: readonly number[]): IpAddress {
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

/** The eight numbers of 16 bits of an IPv6 address. */
export function groupsFromAddress(address: IpAddress): number[] {
  return Array.from({ length: 8 }, (_, at) => (address[2 * at] ?? 0) * 256 + (address[2 * at + 1] ?? 0));
}

/** As people write it: RFC 5952 for IPv6, without brackets. */
export function formatAddress(address: IpAddress): string {
  if (address.length === 4) return address.join(".");
  const url = new URL(
    `http://[${groupsFromAddress(address)
      .map((group) => group.toString(16))
      .join(":")}]`,
  );
  return url.hostname.slice(1, -1);
}

/** The same address for every spelling of it: an IPv4-mapped IPv6 address is its IPv4 address. */
export function canonical(address: IpAddress): IpAddress {
  return isMapped(address) ? address.subarray(12) : address;
}

/** ::ffff:0:0/96 */
export function isMapped(address: IpAddress): boolean {
  return address.length === 16 && startsWith(address, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]);
}

export function isUnspecified(address: IpAddress): boolean {
  return address.every((byte) => byte === 0);
}

export function isLoopback(address: IpAddress): boolean {
  if (address.length === 4) return address[0] === 127;
  return address[15] === 1 && address.subarray(0, 15).every((byte) => byte === 0);
}

/** 224.0.0.0/4, ff00::/8 */
export function isMulticast(address: IpAddress): boolean {
  const first = address[0] ?? 0;
  return address.length === 4 ? first >> 4 === 14 : first === 255;
}

export function isBroadcast(address: IpAddress): boolean {
  return address.length === 4 && address.every((byte) => byte === 255);
}

/** 169.254.0.0/16, where clouds keep their metadata; fe80::/10 */
export function isLinkLocal(address: IpAddress): boolean {
  const [first = 0, second = 0] = address;
  return address.length === 4 ? first === 169 && second === 254 : first === 254 && second >> 6 === 2;
}

/**
 * Addresses that no name of the outside world may lead to, or a name's owner could aim a guest at the host's own services: loopback,
 * link-local, multicast, "this network" (0.0.0.0/8, which Linux takes for loopback), the reserved 240.0.0.0/4, and IPv6 addresses
 * that hold one of these as IPv4 (mapped, compatible, NAT64, 6to4).
 */
export function isSpecial(address: IpAddress): boolean {
  if (isLoopback(address) || isLinkLocal(address) || isMulticast(address) || isUnspecified(address))
    return true;
  if (address.length === 4) return address[0] === 0 || (address[0] ?? 0) >= 240;
  const inner = embedded(address);
  return inner !== undefined && isSpecial(inner);
}

function embedded(address: IpAddress): IpAddress | undefined {
  if (isMapped(address) || startsWith(address, new Array<number>(12).fill(0))) return address.subarray(12);
  if (startsWith(address, [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0])) return address.subarray(12);
  return startsWith(address, [0x20, 0x02]) ? address.subarray(2, 6) : undefined;
}

function startsWith(address: IpAddress, bytes: readonly number[]): boolean {
  return bytes.every((byte, at) => address[at] === byte);
}

export function sameAddress(left: IpAddress, right: IpAddress): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
