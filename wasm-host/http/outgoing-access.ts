import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { LookupFunction } from "node:net";
import type { NetworkGrant } from "../grant.ts";
import { familyOf, formatAddress } from "../network/address.ts";
import type { NetworkErrorCode } from "../network/error-code.ts";
import { parseHost } from "../network/host-name.ts";
import { lookUp } from "../network/name-lookup.ts";
import type { NetworkRules } from "../network/network-rules.ts";
import { rulesOf } from "../network/rules-of.ts";
import { HttpError, type HttpErrorCode } from "./error-code.ts";

/** How Node's global agents keep connections. */
const agentOptions = { keepAlive: true, scheduling: "lifo", timeout: 5000 } as const;

/**
 * What outgoing requests of a guest may reach, by the rules that hold for its sockets: the host as it is written, and then each
 * address that it turns out to have. Names are looked up by the host's own resolver, and nobody is connected to before that.
 */
export class OutgoingAccess {
  readonly #grant: NetworkGrant;
  readonly #rules: NetworkRules;
  /** Connections that are kept are this grant's. */
  readonly #http = new HttpAgent(agentOptions);
  readonly #https = new HttpsAgent(agentOptions);

  constructor(grant: NetworkGrant) {
    this.#grant = grant;
    this.#rules = rulesOf(grant);
  }

  /** Whether a request may be begun. `hostname` is a URL's, an IPv6 address without its brackets. */
  allows(hostname: string, port: number): boolean {
    const host = parseHost(hostname);
    if (host === undefined || !this.#rules.allowsProtocol("http")) return false;
    return "address" in host
      ? this.#rules.allowsConnect("http", host.address, port)
      : this.#rules.allowsName("http", host.name, port);
  }

  /** Options of Node's client: addresses in a URL were checked by `allows`, names come here. */
  connectionOptions(
    secure: boolean,
    port: number,
  ): { readonly agent: HttpAgent; readonly lookup: LookupFunction } {
    return {
      agent: secure ? this.#https : this.#http,
      lookup: (hostname, options, callback) => {
        const answer = (error: Error | null, found: readonly { address: string; family: number }[]): void => {
          const [first] = found;
          if (error !== null || options.all === true)
            callback(error as NodeJS.ErrnoException | null, [...found]);
          else callback(null, first?.address ?? "", first?.family);
        };
        this.#resolve(hostname, port).then(
          (found) => answer(null, found),
          (error: Error) => answer(error, []),
        );
      },
    };
  }

  /** @throws HttpError */
  async #resolve(hostname: string, port: number): Promise<{ address: string; family: number }[]> {
    const result = await lookUp(hostname, this.#grant, "http");
    if (result.tag === "err") throw new HttpError(lookupError(result.val));
    const allowed = result.val.filter((address) => this.#rules.allowsConnect("http", address, port));
    if (allowed.length === 0) throw new HttpError({ tag: "destination-IP-prohibited" });
    return allowed.map((address) => ({
      address: formatAddress(address),
      family: familyOf(address) === "ipv4" ? 4 : 6,
    }));
  }
}

const known = new WeakMap<NetworkGrant, OutgoingAccess>();

/** The same object for every instance of a grant: connections are kept beyond one. */
export function outgoingAccess(grant: NetworkGrant | undefined): OutgoingAccess | undefined {
  if (grant === undefined) return undefined;
  let access = known.get(grant);
  if (access === undefined) {
    access = new OutgoingAccess(grant);
    known.set(grant, access);
  }
  return access;
}

function lookupError(code: NetworkErrorCode): HttpErrorCode {
  switch (code) {
    case "access-denied": // every address that the name has
      return { tag: "destination-IP-prohibited" };
    case "temporary-resolver-failure":
      return { tag: "DNS-timeout" };
    case "name-unresolvable":
      return { tag: "DNS-error", val: { rcode: "NXDOMAIN", infoCode: undefined } };
    default:
      return { tag: "DNS-error", val: { rcode: "SERVFAIL", infoCode: undefined } };
  }
}
