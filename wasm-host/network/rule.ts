import { shown, TandemError } from "../../src/errors.ts";
import type { NetworkProtocol } from "../grant.ts";
import { type AddressBlock, parseBlock } from "./address-block.ts";
import { parseHost } from "./host-name.ts";

/** Both ends belong to it. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** An entry of `outbound` (grant.ts). */
export type OutboundRule = {
  readonly protocols: readonly NetworkProtocol[];
  readonly ports: PortRange;
} & (
  | { readonly kind: "everything" }
  /** Names that end with it; it begins with a dot. */
  | { readonly kind: "suffix"; readonly suffix: string }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "block"; readonly block: AddressBlock }
);

/** An entry of `inbound` (grant.ts); without a block, of every address. */
export interface InboundRule {
  readonly protocols: readonly NetworkProtocol[];
  readonly block: AddressBlock | undefined;
  readonly ports: PortRange;
}

export const networkProtocols = ["tcp", "udp", "dns", "http"] as const satisfies readonly NetworkProtocol[];

/** Those by which others can be let in. */
const inboundProtocols = ["tcp", "udp"] as const;

const everyPort: PortRange = { first: 1, last: 65_535 };

/** @throws TandemError `invalid_argument` naming the rule and what is wrong with it */
export function parseOutboundRule(text: string): OutboundRule {
  const refuse = (why: string): never => refuseRule("outbound", text, why);
  const { protocols, rest } = takeProtocols(text, networkProtocols);
  const { host, ports: portText } = split(rest, refuse);
  const ports = portText === undefined ? everyPort : parsePorts(portText, 1, refuse);
  const common = { protocols, ports };
  if (host === "*") return { kind: "everything", ...common };
  const block = parseBlock(host);
  if (block !== undefined && protocols.every((protocol) => protocol === "dns"))
    return refuse("has no name that could be looked up");
  if (block !== undefined) return { kind: "block", block, ...common };
  if (host.includes("/"))
    return refuse("is no block of addresses: ADDRESS/BITS, with no bit set behind them");
  const suffix = host.startsWith("*.");
  const parsed = parseHost(suffix ? host.slice(2) : host);
  if (parsed === undefined || (suffix && "address" in parsed))
    return refuse("has no name and no address in it");
  // 0x7f.1 in a rule is more likely a mistake than meant; what is meant has one spelling.
  if ("address" in parsed) return refuse("has an address in another spelling than the usual one");
  return suffix
    ? { kind: "suffix", suffix: `.${parsed.name}`, ...common }
    : { kind: "name", name: parsed.name, ...common };
}

/** @throws TandemError `invalid_argument` naming the rule and what is wrong with it */
export function parseInboundRule(text: string): InboundRule {
  const refuse = (why: string): never => refuseRule("inbound", text, why);
  const { protocols, rest } = takeProtocols(text, inboundProtocols);
  const { host, ports: portText } = split(rest, refuse);
  if (portText === undefined) return refuse("has no port");
  const ports = parsePorts(portText, 0, refuse);
  if (host === "*") return { protocols, block: undefined, ports };
  const block = parseBlock(host);
  return block === undefined ? refuse("has no address in it") : { protocols, block, ports };
}

/** What the rule is for, if it says so: `tcp:…`, `tcp+dns:…`. A host may be called so, too: `dns:53` is the port of one. */
function takeProtocols(
  text: string,
  known: readonly NetworkProtocol[],
): { protocols: readonly NetworkProtocol[]; rest: string } {
  const [, words = "", rest = ""] = /^([a-z]+(?:\+[a-z]+)*):(?!\/\/|\d+(?:-\d+)?$)(.+)$/.exec(text) ?? [];
  const named = words.split("+");
  const protocols = known.filter((protocol) => named.includes(protocol));
  return named.every((word) => known.some((protocol) => protocol === word))
    ? { protocols, rest }
    : { protocols: known, rest: text };
}

/** Host and ports; the host without brackets. */
function split(text: string, refuse: (why: string) => never): { host: string; ports: string | undefined } {
  const bracketed = /^\[([^\]]*)\](\/\d+)?(?::(.*))?$/.exec(text);
  if (bracketed !== null) {
    const [, address = "", bits = "", ports] = bracketed;
    if (!address.includes(":")) return refuse("has no IPv6 address in its brackets");
    return { host: address + bits, ports };
  }
  // Behind the bits of a block a colon can only be the port's.
  const [, host = "", ports] = /^([^/]*\/\d+|[^:]*)(?::([^:]*))?$/.exec(text) ?? [];
  if (host === "")
    return refuse(
      text.includes(":")
        ? "needs brackets around its IPv6 address, or what it is for (tcp, udp, dns, http) before its colon"
        : "is empty",
    );
  return { host, ports };
}

function parsePorts(text: string, least: number, refuse: (why: string) => never): PortRange {
  const [, from, to] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const first = Number(from);
  const last = to === undefined ? first : Number(to);
  if (from === undefined || first < least || last > 65_535 || last < first)
    return refuse(`has no port between ${least} and 65535, or two of them in order, behind its colon`);
  return { first, last };
}

function refuseRule(direction: string, text: string, why: string): never {
  throw new TandemError("invalid_argument", `network grant, ${direction} rule ${shown(text)}: ${why}`);
}
