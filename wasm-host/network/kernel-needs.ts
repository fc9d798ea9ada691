import type { SocketUse } from "../../src/isolation/wasm-sockets.ts";
import type { TcpPorts } from "../../src/native-surface.ts";
import type { HttpPlan } from "../config.ts";
import type { NetworkGrant } from "../grant.ts";
import { NetworkRules } from "./network-rules.ts";

/** What the kernel has to let through of the network: calls by seccomp, ports by Landlock. */
export interface NetworkNeeds {
  readonly sockets: SocketUse;
  readonly tcpPorts: TcpPorts;
}

export interface NetworkUse {
  readonly network: NetworkGrant | undefined;
  /** Listening sockets that the process was given. */
  readonly listeners: number;
  /** Where an http component is served; undefined for other guests. */
  readonly served: HttpPlan | undefined;
}

/** @throws TandemError `invalid_argument` naming a rule of the grant that is wrong */
export function networkNeeds({ network, listeners, served }: NetworkUse): NetworkNeeds {
  const ports = served !== undefined && "port" in served ? [served.port] : [];
  if (network === undefined) {
    const sockets = ports.length > 0 ? "listen" : listeners > 0 ? "accept" : "none";
    return { sockets, tcpPorts: { bind: ports, connect: [] } };
  }
  const rules = new NetworkRules(network);
  const { bind, connect } = rules.tcpPorts();
  const tcpPorts = { bind: bind && [...bind, ...ports], connect };
  // Only where a rule lets somebody in, or the process has a socket that does.
  if (network.inbound.length > 0 || ports.length + listeners > 0) return { sockets: "network", tcpPorts };
  const datagrams = rules.hasNames || rules.allowsProtocol("udp");
  return { sockets: datagrams ? "connect" : "stream", tcpPorts };
}
