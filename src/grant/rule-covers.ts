import { contains } from "../../wasm-host/network/address-block.ts";
import { NetworkRules } from "../../wasm-host/network/network-rules.ts";
import { type OutboundRule, parseInboundRule, parseOutboundRule } from "../../wasm-host/network/rule.ts";

type Rule = Pick<OutboundRule, "protocols" | "ports">;

/**
 * Whether everything that one rule of `outbound` (wasm-host/grant.ts) allows, another one does, too.
 * @throws TandemError `invalid_argument` for what is no rule
 */
export function outboundCovers(allowed: string, wanted: string): boolean {
  const [wide, narrow] = [parseOutboundRule(allowed), parseOutboundRule(wanted)];
  return isWithin(wide, narrow) && hostCovers(wide, narrow);
}

/** The same of `inbound`. */
export function inboundCovers(allowed: string, wanted: string): boolean {
  const [wide, narrow] = [parseInboundRule(allowed), parseInboundRule(wanted)];
  if (!isWithin(wide, narrow)) return false;
  if (wide.block === undefined) return true;
  return (
    narrow.block !== undefined &&
    wide.block.prefix <= narrow.block.prefix &&
    contains(wide.block, narrow.block.base)
  );
}

function hostCovers(wide: OutboundRule, narrow: OutboundRule): boolean {
  switch (wide.kind) {
    case "everything":
      return narrow.kind !== "block" || everythingHas(narrow);
    case "suffix":
      if (narrow.kind === "name") return narrow.name.endsWith(wide.suffix);
      return narrow.kind === "suffix" && narrow.suffix.endsWith(wide.suffix);
    case "name":
      return narrow.kind === "name" && narrow.name === wide.name;
    case "block":
      return (
        narrow.kind === "block" &&
        wide.block.prefix <= narrow.block.prefix &&
        contains(wide.block, narrow.block.base)
      );
  }
}

/** `*` leaves addresses out; a block may have some of them, one address is one or is not. */
function everythingHas({ block, ports }: Extract<OutboundRule, { kind: "block" }>): boolean {
  if (block.prefix !== 8 * block.base.length) return false;
  return new NetworkRules({ outbound: ["*"], inbound: [] }).allowsConnect("tcp", block.base, ports.first);
}

/** By protocol and port. */
function isWithin(wide: Rule, narrow: Rule): boolean {
  return (
    narrow.protocols.every((protocol) => wide.protocols.includes(protocol)) &&
    wide.ports.first <= narrow.ports.first &&
    narrow.ports.last <= wide.ports.last
  );
}
