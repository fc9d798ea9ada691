import type { TcpPorts } from "../../src/native-surface.ts";
import type { NetworkGrant, NetworkProtocol } from "../grant.ts";
import {
  canonical,
  familyOf,
  type IpAddress,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isSpecial,
  isUnspecified,
} from "./address.ts";
import { contains } from "./address-block.ts";
import { isLocalhost } from "./host-name.ts";
import {
  type InboundRule,
  type OutboundRule,
  type PortRange,
  parseInboundRule,
  parseOutboundRule,
} from "./rule.ts";

/** Addresses of names that a guest is remembered to have looked up; beyond it, the oldest have to be looked up again. */
const mostNoted = 4096;

type Rule = Pick<OutboundRule, "protocols" | "ports">;

type NameRule = Extract<OutboundRule, { kind: "name" | "suffix" }>;

/**
 * The rules of a network grant, for everything of one guest process: sockets, look-up and http ask the same object. What names
 * were resolved to, by this guest's own look-ups, is remembered here, and is all that a rule with a name allows.
 */
export class NetworkRules {
  readonly #outbound: readonly OutboundRule[];
  readonly #inbound: readonly InboundRule[];
  /** By address: the rules whose names it was resolved from. In the order of the last look-up. */
  readonly #noted = new Map<string, Set<NameRule>>();

  /** @throws TandemError `invalid_argument` naming the rule that is wrong */
  constructor({ outbound, inbound, protocols }: Omit<NetworkGrant, "resolver">) {
    const narrow = <T extends Rule>(rule: T): T =>
      protocols === undefined
        ? rule
        : { ...rule, protocols: rule.protocols.filter((protocol) => protocols.includes(protocol)) };
    this.#outbound = outbound.map(parseOutboundRule).map(narrow);
    this.#inbound = inbound.map(parseInboundRule).map(narrow);
  }

  /** Whether anything at all may be done by it. */
  allowsProtocol(protocol: NetworkProtocol): boolean {
    return [...this.#outbound, ...this.#inbound].some(({ protocols }) => protocols.includes(protocol));
  }

  /** Whether a name (parseHost's) may be looked up, by the guest or for its requests; with a port, by a rule that is of this port too. */
  allowsName(by: "dns" | "http", name: string, port?: number): boolean {
    return this.#outbound.some(
      (rule) =>
        rule.protocols.includes(by) &&
        (port === undefined || includes(rule.ports, port)) &&
        (rule.kind === "everything" || matchesName(rule, name)),
    );
  }

  /** Whether a connection may be made, or a datagram sent, there. `*` leaves out link-local and multicast addresses. */
  allowsConnect(by: Exclude<NetworkProtocol, "dns">, address: IpAddress, port: number): boolean {
    const target = canonical(address);
    const allowed = this.#outbound.some((rule) => isFor(rule, by, port) && matchesAddress(rule, target));
    if (allowed) return true;
    const rules = this.#noted.get(keyOf(target));
    return rules !== undefined && [...rules].some((rule) => isFor(rule, by, port));
  }

  /** Whether others may be let in there; port 0 is one that the kernel picks. */
  allowsBind(by: "tcp" | "udp", address: IpAddress, port: number): boolean {
    const local = canonical(address);
    return this.#inbound.some((rule) => isFor(rule, by, port) && coversLocal(rule, local));
  }

  /** Whether any name may be looked up, by the guest or for its requests. */
  get hasNames(): boolean {
    return this.#outbound.some(
      ({ kind, protocols }) => kind !== "block" && (protocols.includes("dns") || protocols.includes("http")),
    );
  }

  /** For the kernel's wall, which knows ports only: what any of the rules needs, undefined for every port. */
  tcpPorts(): TcpPorts {
    // A client may bind to a port that the kernel picks. Names are asked for over TCP too, by whoever may look one up.
    const inbound = this.#inbound.filter(({ protocols }) => protocols.includes("tcp"));
    const outbound = this.#outbound.filter(
      ({ protocols }) => protocols.includes("tcp") || protocols.includes("http"),
    );
    const bind = [{ first: 0, last: 0 }, ...inbound.map(({ ports }) => ports)];
    const dns = this.hasNames ? [{ first: 53, last: 53 }] : [];
    return {
      bind: listPorts(bind),
      connect: listPorts([...dns, ...outbound.map(({ ports }) => ports)]),
    };
  }

  /**
   * A name that is allowed was looked up, and this is what came of it. Returns the addresses that the guest may have: a name
   * leads to no special address (isSpecial) unless a rule with addresses allows that, and `localhost` to loopback only.
   */
  noteResolved(name: string, addresses: readonly IpAddress[]): IpAddress[] {
    const rules = this.#outbound.filter((rule) => matchesName(rule, name));
    return addresses.filter((address) => {
      const target = canonical(address);
      if (rules.length > 0 && mayStandFor(name, target)) {
        this.#note(keyOf(target), rules);
        return true;
      }
      return this.#outbound.some((rule) => matchesAddress(rule, target));
    });
  }

  #note(key: string, rules: readonly NameRule[]): void {
    const known = this.#noted.get(key);
    this.#noted.delete(key);
    this.#noted.set(key, new Set([...(known ?? []), ...rules]));
    const [oldest] = this.#noted.keys();
    if (this.#noted.size > mostNoted && oldest !== undefined) this.#noted.delete(oldest);
  }
}

function matchesName(rule: OutboundRule, name: string): rule is NameRule {
  return (
    (rule.kind === "name" && rule.name === name) || (rule.kind === "suffix" && name.endsWith(rule.suffix))
  );
}

function matchesAddress(rule: OutboundRule, address: IpAddress): boolean {
  if (rule.kind === "block") return contains(rule.block, address);
  return rule.kind === "everything" && isAnybody(address);
}

/** Clouds hand out credentials on link-local addresses; who is given everything has not been given these. */
function isAnybody(address: IpAddress): boolean {
  return isLoopback(address) || !(isLinkLocal(address) || isMulticast(address) || isSpecial(address));
}

function mayStandFor(name: string, address: IpAddress): boolean {
  return isLocalhost(name) ? isLoopback(address) : !isSpecial(address);
}

/** Who may listen on the unspecified address may listen on each of its family. */
function coversLocal({ block }: InboundRule, address: IpAddress): boolean {
  if (block === undefined || contains(block, address)) return true;
  const { base, prefix } = block;
  return prefix === 8 * base.length && isUnspecified(base) && familyOf(base) === familyOf(address);
}

/** Each costs a system call at the start of a guest. */
const mostListed = 256;

function listPorts(ranges: readonly PortRange[]): number[] | undefined {
  const ports = new Set<number>();
  for (const { first, last } of ranges) {
    if (last - first >= mostListed) return undefined;
    for (let port = first; port <= last; port++) ports.add(port);
  }
  return ports.size > mostListed ? undefined : [...ports].sort((left, right) => left - right);
}

function isFor({ protocols, ports }: Rule, protocol: NetworkProtocol, port: number): boolean {
  return protocols.includes(protocol) && includes(ports, port);
}

function includes({ first, last }: PortRange, port: number): boolean {
  return first <= port && port <= last;
}

function keyOf(address: IpAddress): string {
  return Buffer.from(address).toString("latin1");
}
