import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { Exchange } from "../../../../wasm-host/http/exchange.ts";
import { defaultHttpLimits, type HttpLimits } from "../../../../wasm-host/http/limits.ts";
import { AccessLog } from "../../../../wasm-host/http/server/access-log.ts";
import { HttpServer } from "../../../../wasm-host/http/server/server.ts";
import { suspending } from "../../../../wasm-host/wasi/p2/waiting.ts";

export interface TestServer {
  readonly server: HttpServer;
  readonly port: number;
  /** The access log, as JSON. */
  readonly log: Record<string, unknown>[];
  connect(): Promise<Socket>;
  /** Sends this on a connection of its own, and reads that to its end. */
  ask(request: string | Buffer): Promise<string>;
}

/** Runs a server on a free port for as long as `use` runs. */
export async function serving(
  serve: (exchange: Exchange) => unknown,
  use: (server: TestServer) => Promise<void>,
  limits: Partial<HttpLimits> = {},
): Promise<void> {
  const log: Record<string, unknown>[] = [];
  const server = new HttpServer(
    { host: "127.0.0.1", port: 0 },
    {
      limits: { ...defaultHttpLimits, drainTimeoutMs: 300, ...limits },
      log: new AccessLog("json", (line) => log.push(JSON.parse(line) as Record<string, unknown>)),
      serve: (exchange) => {
        void serve(exchange);
      },
    },
  );
  const { port } = server.address;
  server.start();
  const open = async (): Promise<Socket> => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  try {
    await use({
      server,
      port,
      log,
      connect: open,
      ask: async (request) => {
        const socket = await open();
        socket.write(request);
        const answer = await text(socket).catch(() => "broken");
        socket.destroy();
        return answer;
      },
    });
  } finally {
    await server.close();
  }
}

/** Answers with this body. */
export function answer(exchange: Exchange, body = "hello", status = 200): void {
  const content = exchange.begin(status, [["content-type", "text/plain"]]);
  if (body !== "") content.write(Buffer.from(body));
  content.end([]);
  exchange.release();
}

/** All of a request's body. */
export async function readAll({ content }: Exchange): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    await suspending.untilAny([content.source]);
    const piece = content.read(65_536);
    if (piece === undefined) return Buffer.concat(pieces);
    pieces.push(piece);
  }
}

/** Sends a body of `size` bytes, as its reader takes it. */
export async function sendMuch(exchange: Exchange, size: number): Promise<void> {
  const content = exchange.begin(200, []);
  const piece = Buffer.alloc(65_536, "x");
  for (let left = size; left > 0; ) {
    await suspending.untilAny([content.source]);
    const room = content.capacity();
    if (room === undefined) return;
    const part = piece.subarray(0, Math.min(room, left));
    content.write(part);
    left -= part.length;
  }
  content.end([]);
  exchange.release();
}
