import { addressFromGroups, type Endpoint, groupsFromAddress, type IpAddress } from "./address.ts";

/** The variant `ip-address` of wasi:sockets, the same in 0.2 and 0.3. */
export type WitAddress =
  | { readonly tag: "ipv4"; readonly val: readonly number[] }
  | { readonly tag: "ipv6"; readonly val: readonly number[] };

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

export function witAddressFrom(address: IpAddress): WitAddress {
  return address.length === 4
    ? { tag: "ipv4", val: [...address] }
    : { tag: "ipv6", val: groupsFromAddress(address) };
}

export function endpointFromWit({ tag, val }: WitSocketAddress): Endpoint {
  if (tag === "ipv4") return { address: Uint8Array.from(val.address), port: val.port };
  const { address, port, flowInfo, scopeId } = val;
  return { address: addressFromGroups(address), port, flowInfo, scopeId };
}

export function witFromEndpoint({ address, port, flowInfo = 0, scopeId = 0 }: Endpoint): WitSocketAddress {
  return address.length === 4
    ? { tag: "ipv4", val: { port, address: [...address] } }
    : { tag: "ipv6", val: { port, flowInfo, address: groupsFromAddress(address), scopeId } };
}
