import { type IpAddress, parseAddress } from "./address.ts";
import { parseHost } from "./host-name.ts";

/** Addresses by name: hosts(5). Lines that are not understood are left out, as resolvers do. */
export function parseHosts(text: string): ReadonlyMap<string, readonly IpAddress[]> {
  const hosts = new Map<string, IpAddress[]>();
  for (const line of text.split("\n")) {
    const [written = "", ...names] = line.replace(/#.*$/, "").trim().split(/\s+/);
    const address = parseAddress(written);
    if (address === undefined) continue;
    for (const text of names) {
      const host = parseHost(text);
      if (host === undefined || "address" in host) continue;
      const known = hosts.get(host.name);
      if (known === undefined) hosts.set(host.name, [address]);
      else known.push(address);
    }
  }
  return hosts;
}
