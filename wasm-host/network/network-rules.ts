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

type NameRule = Extract<OutboundRule, { kind: "name" | "suffix" }>;

/**
 * The rules of a network grant, for everything of one guest process: sockets, look-up and http ask the same object. What names
 * were resolved to, by this guest's own look-ups, is remembered here, and is all that a rule with a name allows.
 */
export class NetworkRules {
  readonly #outbound: readonly OutboundRule[];
  readonly #inbound: readonly InboundRule[];
  readonly #protocols: readonly NetworkProtocol[] | undefined;
  /** By address: the rules whose names it was resolved from. In the order of the last look-up. */
  readonly #noted = new Map<string, Set<NameRule>>();

  /** @throws TandemError `invalid_argument` naming the rule that is wrong */
  constructor({ outbound, inbound, protocols }: Omit<NetworkGrant, "resolver">) {
    this.#protocols = protocols;
    this.#outbound = outbound.map(parseOutboundRule);
    this.#inbound = inbound.map(parseInboundRule);
  }

  /** Whether anything at all may be done by it. */
  allowsProtocol(protocol: NetworkProtocol): boolean {
    return this.#protocols?.includes(protocol) ?? true;
  }

  /** Whether a name (parseHost's) may be looked up; with a port, by a rule that is of this port too. */
  allowsName(name: string, port?: number): boolean {
    return this.#outbound.some(
      (rule) =>
        (port === undefined || includes(rule.ports, port)) &&
        (rule.kind === "everything" || matchesName(rule, name)),
    );
  }

  /** Whether a connection may be made, or a datagram sent, there. `*` leaves out link-local and multicast addresses. */
  allowsConnect(address: IpAddress, port: number): boolean {
    const target = canonical(address);
    const allowed = this.#outbound.some((rule) => includes(rule.ports, port) && matchesAddress(rule, target));
    if (allowed) return true;
    const rules = this.#noted.get(keyOf(target));
    return rules !== undefined && [...rules].some((rule) => includes(rule.ports, port));
  }

  /** Whether others may be let in there; port 0 is one that the kernel picks. */
  allowsBind(address: IpAddress, port: number): boolean {
    const local = canonical(address);
    return this.#inbound.some((rule) => includes(rule.ports, port) && coversLocal(rule, local));
  }

  /** Whether it may look any name up. */
  get hasNames(): boolean {
    return this.#outbound.some(({ kind }) => kind !== "block");
  }

  /** For the kernel's wall, which knows ports only: what any of the rules needs, undefined for every port. */
  tcpPorts(): TcpPorts {
    // A client may bind to a port that the kernel picks. Names are asked for over TCP too, by whoever may look one up.
    const bind = [{ first: 0, last: 0 }, ...this.#inbound.map(({ ports }) => ports)];
    const dns = this.hasNames ? [{ first: 53, last: 53 }] : [];
    return {
      bind: listPorts(bind),
      connect: listPorts([...dns, ...this.#outbound.map(({ ports }) => ports)]),
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

function includes({ first, last }: PortRange, port: number): boolean {
  return first <= port && port <= last;
}

function keyOf(address: IpAddress): string {
  return Buffer.from(address).toString("latin1");
}
