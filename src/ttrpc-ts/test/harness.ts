import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectSocket, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, connect, Server, type ServerOptions, type ServiceImpl } from "../src/index.ts";
import { Echo } from "./gen/echo_pb.ts";

/** An Echo server on a unix socket of its own, and what was opened to it; disposed in the reverse order. */
export class Harness implements AsyncDisposable {
  readonly path: string;
  readonly server: Server;
  readonly #directory: string;
  readonly #clients: Client[] = [];
  readonly #sockets: Socket[] = [];

  constructor(directory: string, server: Server) {
    this.#directory = directory;
    this.path = join(directory, "s");
    this.server = server;
  }

  static async start(impl: ServiceImpl<typeof Echo>, options: ServerOptions = {}): Promise<Harness> {
    const directory = mkdtempSync(join(tmpdir(), "ttrpc-"));
    const harness = new Harness(directory, new Server(options).service(Echo, impl));
    await harness.server.listen({ path: harness.path });
    return harness;
  }

  async connect(): Promise<Client> {
    const client = await connect(this.path);
    this.#clients.push(client);
    return client;
  }

  /** A peer without manners: a bare socket. */
  async raw(): Promise<Socket> {
    const socket = connectSocket(this.path);
    this.#sockets.push(socket);
    socket.on("error", () => socket.destroy());
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const client of this.#clients) await client.close();
    await this.server.stop({ flushTimeoutMs: 50 });
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Rejects when `promise` takes longer than a test may: uvu has no time limit of its own. */
export async function within<T>(promise: Promise<T>, what: string, milliseconds = 10_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
