import {
  addressFromGroups,
  type Endpoint,
  groupsFromAddress,
  type IpAddress,
} from "../../../network/address.ts";

/** The variant `ip-address`: bytes of IPv4, groups of 16 bits of IPv6. */
export interface WitAddress {
  readonly tag: "ipv4" | "ipv6";
  readonly val: readonly number[];
}

/** The variant `ip-socket-address`. */
export type WitSocketAddress =
  | { readonly tag: "ipv4"; readonly val: { readonly port: number; readonly address: readonly number[] } }
  | {
      readonly tag: "ipv6";
      readonly val: {
        readonly port: number;
        readonly flowInfo: number;
        readonly address: readonly number[];
        readonly scopeId: number;
      };
    };

export function endpointOf(socketAddress: WitSocketAddress): Endpoint {
  const { port, address } = socketAddress.val;
  if (socketAddress.tag === "ipv4") return { address: Uint8Array.from(address), port };
  const { flowInfo, scopeId } = socketAddress.val;
  return { address: addressFromGroups(address), port, flowInfo, scopeId };
}

export function toSocketAddress({ address, port, flowInfo = 0, scopeId = 0 }: Endpoint): WitSocketAddress {
  if (address.length === 4) return { tag: "ipv4", val: { port, address: [...address] } };
  return { tag: "ipv6", val: { port, flowInfo, address: groupsFromAddress(address), scopeId } };
}

export function toAddress(address: IpAddress): WitAddress {
  return address.length === 4
    ? { tag: "ipv4", val: [...address] }
    : { tag: "ipv6", val: groupsFromAddress(address) };
}
