import type { Connection1 } from "./connection1.ts";
import type { Head1 } from "./request-head.ts";
import type { ServerCore } from "./server-core.ts";
import { UpgradingSocket } from "./upgrading-socket.ts";

/**
 * `Upgrade: h2c` (RFC 7540 §3.2): answers 101, and goes on with HTTP/2. The request that asked for it is the first stream there.
 * false when its settings are no settings: then the request is answered as if it had not asked.
 */
export function takeUpgrade(core: ServerCore, connection: Connection1, head: Head1): boolean {
  const settings = readSettings(head.upgradeSettings ?? "");
  if (settings === undefined) return false;
  core.outbox.text(
    connection,
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
  );
  const { peer } = connection;
  const upgrading = new UpgradingSocket(connection.handOver(), { head, settings });
  upgrading.start({
    limitMs: core.limits.headerTimeoutMs,
    onReady: (socket) => core.startHttp2(socket, peer),
    onFailure: () => core.refused(peer, 0),
  });
  return true;
}

/** The payload of a SETTINGS frame, in base64url. */
function readSettings(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9_-]*={0,2}$/.test(text)) return undefined;
  const payload = Buffer.from(text, "base64url");
  return payload.length % 6 === 0 ? payload : undefined;
}
