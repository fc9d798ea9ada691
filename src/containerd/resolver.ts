import { createServer, type Server, type Socket } from "node:net";
import type { ImageInfo } from "../image/image-info.ts";
import { ModuleStore } from "../image/module-store.ts";
import { openContainerd } from "./containerd.ts";
import { ImageResolver } from "./image-resolver.ts";
import {
  encodeFrame,
  FrameDecoder,
  parseRequest,
  type ResolveReply,
  toErrorReply,
} from "./resolver-protocol.ts";

const DEFAULT_IDLE_MS = 5 * 60_000;

export interface ResolverOptions {
  /** A stream socket that listens already; bound by the native side, because libuv would unlink its path when it closes. */
  readonly listenFd: number;
  /** Path of containerd's gRPC socket. */
  readonly containerdAddress: string;
  readonly stateDir: string;
  readonly signal: AbortSignal;
  /** How long without a question until it ends; whoever asks next starts a new one. */
  readonly idleMs?: number;
  /** Bound of the module store, in bytes. */
  readonly maxStoreBytes?: number;
}

/**
 * Serves one containerd's images to the shims of this node, over one HTTP/2 connection that stays open. Resolves after
 * `idleMs` without a question, or after `signal`; the process has nothing left to do then.
 */
export async function serveResolver(options: ResolverOptions): Promise<void> {
  const { stateDir, maxStoreBytes } = options;
  const containerd = openContainerd(options.containerdAddress);
  const modules = new ModuleStore({
    stateDir,
    ...(maxStoreBytes === undefined ? {} : { maxBytes: maxStoreBytes }),
  });
  const resolver = new ImageResolver(containerd, modules);
  const sockets = new Set<Socket>();
  const idle = new IdleTimer(options.idleMs ?? DEFAULT_IDLE_MS);
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    serveSocket(socket, async (value) => {
      using _busy = idle.busy();
      return { image: await resolver.resolve(parseRequest(value)) };
    });
  });
  try {
    server.listen({ fd: options.listenFd });
    await Promise.race([idle.expired, aborted(options.signal), failed(server)]);
  } finally {
    idle.stop();
    server.close();
    for (const socket of sockets) socket.destroy();
    containerd.close();
  }
}

type Answer = (request: unknown) => Promise<{ readonly image: ImageInfo | undefined }>;

/** Questions of one connection are answered one after the other, in their order. */
function serveSocket(socket: Socket, answer: Answer): void {
  const decoder = new FrameDecoder();
  let last = Promise.resolve();
  // A shim that went away: its close event is all that matters.
  socket.on("error", () => undefined);
  socket.on("data", (bytes: Buffer) => {
    let requests: unknown[];
    try {
      requests = decoder.push(bytes);
    } catch (error) {
      socket.end(encodeFrame(toErrorReply(error)));
      return;
    }
    for (const request of requests) {
      last = last
        .then(() => reply(answer, request))
        .then((message) => void (socket.writable && socket.write(encodeFrame(message))));
    }
  });
}

async function reply(answer: Answer, request: unknown): Promise<ResolveReply> {
  try {
    const { image } = await answer(request);
    return image === undefined ? {} : { image };
  } catch (error) {
    return toErrorReply(error);
  }
}

/** Runs while nobody is asking. */
class IdleTimer {
  readonly expired: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #busy = 0;

  constructor(ms: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.expired = promise;
    this.#timer = setTimeout(() => {
      if (this.#busy === 0) resolve();
    }, ms);
  }

  busy(): Disposable {
    this.#busy += 1;
    return {
      [Symbol.dispose]: () => {
        this.#busy -= 1;
        this.#timer.refresh();
      },
    };
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function failed(server: Server): Promise<never> {
  return new Promise((_, reject) => server.once("error", reject));
}
