import type { NetworkGrant } from "../grant.ts";
import { NetworkRules } from "./network-rules.ts";

const known = new WeakMap<NetworkGrant, NetworkRules>();

/**
 * The rules of a grant, the same object for every instance and version of WASI in this process: what one part has looked up,
 * another may connect to. Without a grant there are none, and nothing is allowed.
 * @throws TandemError `invalid_argument` naming the rule that is wrong
 */
export function rulesOf(grant: NetworkGrant): NetworkRules;
export function rulesOf(grant: NetworkGrant | undefined): NetworkRules | undefined;
export function rulesOf(grant: NetworkGrant | undefined): NetworkRules | undefined {
  if (grant === undefined) return undefined;
  let rules = known.get(grant);
  if (rules === undefined) {
    rules = new NetworkRules(grant);
    known.set(grant, rules);
  }
  return rules;
}
