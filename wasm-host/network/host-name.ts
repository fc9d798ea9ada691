import { domainToASCII } from "node:url";
import { type IpAddress, parseAddress } from "./address.ts";

/** What a guest, or a rule, means by a host: an address, or a name in its one spelling. */
export type Host =
  | { readonly address: IpAddress }
  /** ASCII, lower case, without a dot at the end; `absolute` when it had one: no search list for it. */
  | { readonly name: string; readonly absolute: boolean };

/** What ends a host in a URL, or would be decoded in one; the URL parser must not get to see it. */
const foreign = /[\0-\x20\x7f%/?#@\\:<>[\]^|]/;

/**
 * Reads a host as URLs do: names of other alphabets by IDNA, IPv4 addresses in all their spellings (`0x7f.1`, `2130706433`), IPv6
 * addresses with or without brackets. Undefined for what is no host.
 */
export function parseHost(text: string): Host | undefined {
  const ipv6 = parseAddress(text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text);
  if (ipv6?.length === 16) return { address: ipv6 };
  if (text === "" || text.length > 1024 || foreign.test(text)) return undefined;
  const ascii = domainToASCII(text);
  const address = parseAddress(ascii);
  if (address !== undefined) return { address };
  const absolute = ascii.endsWith(".");
  const name = absolute ? ascii.slice(0, -1) : ascii;
  return isName(name) ? { name, absolute } : undefined;
}

/** RFC 1035's lengths; letters, digits, hyphens, and the underscore that service names have. */
function isName(name: string): boolean {
  return name.length <= 253 && name.split(".").every((label) => /^[a-z0-9_-]{1,63}$/.test(label));
}

/** RFC 6761: `localhost` and what is below it are this machine. */
export function isLocalhost(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}
