import type { NetworkGrant } from "../../../grant.ts";
import { lookUp } from "../../../network/name-lookup.ts";
import { rulesOf } from "../../../network/rules-of.ts";
import { ok, type Result } from "../../p2/result.ts";
import { type ErrorCode, refused } from "./error-code.ts";
import { toAddress, type WitAddress } from "./socket-address.ts";
import { createTcpSocketClass } from "./tcp-socket.ts";
import { createUdpSocketClass } from "./udp-socket.ts";

const noNetwork: NetworkGrant = { outbound: [], inbound: [] };

/** wasi:sockets 0.3 under the rules of a grant; without one every address and name is `access-denied`. */
export function createSockets(grant: NetworkGrant | undefined): Record<string, unknown> {
  const rules = rulesOf(grant);
  return {
    "wasi:sockets/types@0.3": {
      TcpSocket: createTcpSocketClass(rules),
      UdpSocket: createUdpSocketClass(rules),
    },
    "wasi:sockets/ip-name-lookup@0.3": {
      resolveAddresses: async (name: string) =>
        rules?.allowsProtocol("dns") === false
          ? refused("access-denied")
          : await resolveAddresses(name, grant ?? noNetwork),
    },
  };
}

async function resolveAddresses(name: string, grant: NetworkGrant): Promise<Result<WitAddress[], ErrorCode>> {
  const found = await lookUp(name, grant);
  return found.tag === "ok" ? ok(found.val.map(toAddress)) : refused(found.val);
}
