import type { NetworkGrant } from "../../../grant.ts";
import type { IpAddress } from "../../../network/address.ts";
import { NameLookup } from "../../../network/name-lookup.ts";
import { rulesOf } from "../../../network/rules-of.ts";
import { type WitAddress, witAddressFrom } from "../../../network/wit-address.ts";
import { Pollable } from "../poll.ts";
import { err, ok } from "../result.ts";
import type { Waiter } from "../waiting.ts";
import { type Outcome, toErrorCode } from "./network.ts";

/** The resource `resolve-address-stream` of wasi:sockets/ip-name-lookup 0.2. */
export class ResolveAddressStream {
  readonly #lookup: NameLookup;
  readonly #waiter: Waiter;
  #left: IpAddress[] | undefined;

  constructor(lookup: NameLookup, waiter: Waiter) {
    this.#lookup = lookup;
    this.#waiter = waiter;
  }

  resolveNextAddress(): Outcome<WitAddress | undefined> {
    if (!this.#lookup.source.ready()) return err("would-block");
    const { result } = this.#lookup;
    if (result === undefined) return err("would-block");
    if (result.tag === "err") return err(toErrorCode(result.val));
    this.#left ??= [...result.val];
    const next = this.#left.shift();
    return ok(next === undefined ? undefined : witAddressFrom(next));
  }

  subscribe(): Pollable {
    return new Pollable(this.#lookup.source, this.#waiter);
  }

  [Symbol.dispose](): void {
    this.#lookup.close();
  }
}

/** wasi:sockets/ip-name-lookup#resolve-addresses. What the name itself is refused for is said at once. */
export function resolveAddresses(
  grant: NetworkGrant | undefined,
  name: string,
  waiter: Waiter,
): Outcome<ResolveAddressStream> {
  if (grant === undefined || !rulesOf(grant).allowsProtocol("dns")) return err("access-denied");
  const lookup = new NameLookup(name, grant);
  const { result } = lookup;
  if (result?.tag === "err" && (result.val === "invalid-argument" || result.val === "access-denied"))
    return err(result.val);
  return ok(new ResolveAddressStream(lookup, waiter));
}
