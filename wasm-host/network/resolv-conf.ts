import { type Endpoint, parseAddress } from "./address.ts";
import { parseHost } from "./host-name.ts";

/** Who is asked for names, and how: resolv.conf(5), with glibc's bounds. */
export interface ResolverConfig {
  /** At most three; none means that nobody can be asked. */
  readonly servers: readonly Endpoint[];
  /** Names below which a name that is not absolute is tried. */
  readonly search: readonly string[];
  /** A name with as many dots is tried as it is before the search list. */
  readonly ndots: number;
  readonly timeoutMs: number;
  /** How often the list of servers is gone through. */
  readonly attempts: number;
  readonly rotate: boolean;
  readonly useTcp: boolean;
}

const DNS_PORT = 53;
const mostServers = 3;

/** Lines that are not understood are left out, as resolvers do: the file is the machine's, not the guest's. */
export function parseResolvConf(text: string): ResolverConfig {
  const servers: Endpoint[] = [];
  let search: readonly string[] = [];
  let options: readonly string[] = [];
  for (const line of text.split("\n")) {
    const [keyword = "", ...values] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "nameserver") servers.push(...serverFrom(values[0] ?? ""));
    // The last of these two wins.
    else if (keyword === "search" || keyword === "domain") search = values.flatMap(domainFrom);
    else if (keyword === "options") options = [...options, ...values];
  }
  const numberOf = (name: string, otherwise: number, most: number): number => {
    const value = options.findLast((option) => option.startsWith(`${name}:`))?.slice(name.length + 1);
    return value !== undefined && /^\d+$/.test(value) ? Math.min(Number(value), most) : otherwise;
  };
  return {
    servers: servers.slice(0, mostServers),
    search,
    ndots: numberOf("ndots", 1, 15),
    timeoutMs: 1000 * Math.max(1, numberOf("timeout", 5, 30)),
    attempts: Math.max(1, numberOf("attempts", 2, 5)),
    rotate: options.includes("rotate"),
    useTcp: options.includes("use-vc"),
  };
}

/** A zone (`fe80::1%eth0`) is the number of an interface; named ones cannot be told without asking the kernel. */
function serverFrom(text: string): Endpoint[] {
  const [, host = "", zone] = /^([^%]*)(?:%(\d+))?$/.exec(text) ?? [];
  const address = parseAddress(host);
  if (address === undefined) return [];
  return [{ address, port: DNS_PORT, ...(zone === undefined ? {} : { scopeId: Number(zone) }) }];
}

function domainFrom(text: string): string[] {
  if (text === ".") return [];
  const host = parseHost(text);
  return host !== undefined && "name" in host ? [host.name] : [];
}
