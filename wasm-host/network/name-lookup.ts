import type { NetworkGrant } from "../grant.ts";
import { err, ok, type Result } from "../wasi/p2/result.ts";
import { monotonicNow, type Source, suspending, whenReady } from "../wasi/p2/waiting.ts";
import { canonical, type IpAddress } from "./address.ts";
import { recordTypes } from "./dns-message.ts";
import { DnsQuery, type QueryOutcome } from "./dns-query.ts";
import type { NetworkErrorCode } from "./error-code.ts";
import { isLocalhost, parseHost } from "./host-name.ts";
import { parseHosts } from "./hosts-file.ts";
import { parseResolvConf, type ResolverConfig } from "./resolv-conf.ts";
import { rulesOf } from "./rules-of.ts";
import { sortByReach } from "./sort-by-reach.ts";

export type LookupResult = Result<readonly IpAddress[], NetworkErrorCode>;

/** What look-ups go by, read once for each grant. */
interface Names {
  readonly config: ResolverConfig;
  readonly hosts: ReadonlyMap<string, readonly IpAddress[]>;
}

/** There are networks that swallow questions for IPv6; those with addresses in hand do not wait for the whole timeout. */
const secondFamilyNs = 500_000_000n;

const known = new WeakMap<NetworkGrant, Names>();

function namesOf(grant: NetworkGrant): Names {
  let names = known.get(grant);
  if (names === undefined) {
    const { resolvConf = "", hosts = "" } = grant.resolver ?? {};
    names = { config: parseResolvConf(resolvConf), hosts: parseHosts(hosts) };
    known.set(grant, names);
  }
  return names;
}

/**
 * Looks a name up for a guest: first whether it may have it, then the hosts file, then DNS, one name of the search list after the
 * other, IPv4 and IPv6 at the same time. What comes out is what the guest may connect to from now on (NetworkRules), in the
 * order in which it should try.
 *
 * Not getaddrinfo: within a guest's root, glibc would read its nsswitch.conf and load libraries that this names, and each look-up
 * takes a thread. Not c-ares: it answers through the event loop only, while this can be waited for by poll(2), and Node's binding
 * knows neither search list nor hosts file.
 */
export class NameLookup {
  readonly #grant: NetworkGrant;
  readonly #name: string = "";
  /** Names in the order in which they are asked for. */
  readonly #candidates: string[] = [];
  #queries: DnsQuery[] = [];
  /** When the family that has not answered yet is left out, since the other has. */
  #patience: bigint | undefined;
  #sawFailure = false;
  #result: LookupResult | undefined;

  /** @param by whose look-up it is: the guest's own, or that of a request of its */
  constructor(text: string, grant: NetworkGrant, by: "dns" | "http" = "dns") {
    this.#grant = grant;
    const host = parseHost(text);
    if (host === undefined) {
      this.#result = err("invalid-argument");
      return;
    }
    if ("address" in host) {
      this.#result = ok([canonical(host.address)]);
      return;
    }
    this.#name = host.name;
    if (!rulesOf(grant).allowsName(by, host.name)) {
      this.#result = err("access-denied");
      return;
    }
    const { config, hosts } = namesOf(grant);
    const written = hosts.get(host.name) ?? (isLocalhost(host.name) ? localhost : undefined);
    if (written !== undefined) this.#settle(written);
    else if (config.servers.length === 0) this.#result = err("permanent-resolver-failure");
    else {
      this.#candidates = candidatesOf(host, config);
      this.#askNext();
    }
  }

  /** undefined while it goes on. */
  get result(): LookupResult | undefined {
    return this.#result;
  }

  /** Ready once there is a result. Asking whether it is takes the look-up further. */
  readonly source: Source = {
    ready: () => {
      this.#step();
      return this.#result !== undefined;
    },
    parts: () => [
      ...this.#queries.filter((query) => query.outcome === undefined).map((query) => query.source),
      ...(this.#patience === undefined ? [] : [{ ready: () => false, deadline: this.#patience }]),
    ],
  };

  close(): void {
    for (const query of this.#queries.splice(0)) query.close();
    this.#result ??= err("unknown");
  }

  #step(): void {
    while (this.#result === undefined) {
      for (const query of this.#queries) query.step();
      this.#losePatience();
      const outcomes = this.#queries.map((query) => query.outcome);
      if (!outcomes.every((outcome) => outcome !== undefined)) return;
      this.#take(outcomes);
    }
  }

  #losePatience(): void {
    if (!this.#queries.some(({ outcome }) => typeof outcome === "object" && outcome.addresses.length > 0))
      return;
    this.#patience ??= monotonicNow() + secondFamilyNs;
    if (monotonicNow() >= this.#patience) for (const query of this.#queries) query.close();
  }

  #take(outcomes: readonly QueryOutcome[]): void {
    const addresses = outcomes.flatMap((outcome) => (typeof outcome === "string" ? [] : outcome.addresses));
    if (addresses.length > 0) this.#settle(addresses);
    // Whoever does not answer for this name will not for the next, and each costs the whole time.
    else if (outcomes.includes("unanswered")) this.#result = err("temporary-resolver-failure");
    else {
      if (outcomes.includes("failed")) this.#sawFailure = true;
      this.#askNext();
    }
  }

  #askNext(): void {
    const { config } = namesOf(this.#grant);
    const name = this.#candidates.shift();
    if (name === undefined) {
      this.#result = err(this.#sawFailure ? "temporary-resolver-failure" : "name-unresolvable");
      return;
    }
    this.#patience = undefined;
    this.#queries = [recordTypes.A, recordTypes.AAAA].map((type) => new DnsQuery(config, name, type));
  }

  #settle(addresses: readonly IpAddress[]): void {
    const allowed = rulesOf(this.#grant).noteResolved(this.#name, addresses.map(canonical));
    this.#result = allowed.length === 0 ? err("access-denied") : ok(sortByReach(allowed));
  }
}

/** A look-up that the event loop carries on, for http and WASI 0.3. */
export async function lookUp(
  text: string,
  grant: NetworkGrant,
  by: "dns" | "http" = "dns",
): Promise<LookupResult> {
  const lookup = new NameLookup(text, grant, by);
  return await whenReady(suspending, lookup.source, () => lookup.result ?? err("unknown"));
}

/** RFC 6761: known without asking anybody. */
const localhost = [
  Uint8Array.of(127, 0, 0, 1),
  Uint8Array.from({ length: 16 }, (_, at) => (at === 15 ? 1 : 0)),
];

/** resolv.conf(5): ndots and search; a name with a dot at its end is not searched for. */
function candidatesOf(
  { name, absolute }: { readonly name: string; readonly absolute: boolean },
  config: ResolverConfig,
): string[] {
  if (absolute) return [name];
  const searched = config.search.map((domain) => `${name}.${domain}`).filter((full) => full.length <= 253);
  const dots = name.split(".").length - 1;
  return dots >= config.ndots ? [name, ...searched] : [...searched, name];
}
