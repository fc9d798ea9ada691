import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { Socket } from "node:net";
import { Exchange2 } from "./exchange2.ts";
import type { HandedOver, ServerCore } from "./server-core.ts";

/** What a server of HTTP/2 tells its owner. */
export interface Http2Owner extends ServerCore {
  http2Ended(): void;
}

interface SessionState {
  readonly peer: string;
  /** Streams that are open. */
  streams: number;
  /** Since when there has been none. */
  idleSince: number;
}

/** The part of a server that speaks HTTP/2, which is Node's: loaded with the first connection that wants it. */
export class Http2 {
  readonly #owner: Http2Owner;
  readonly #sessions = new Map<ServerHttp2Session, SessionState>();
  #server: Http2Server | undefined;
  #draining = false;

  constructor(owner: Http2Owner) {
    this.#owner = owner;
  }

  /** Connections. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Goes on with a connection that has said that it speaks HTTP/2; `bytes` have come on it, its preface among them. */
  start({ fd, bytes }: HandedOver, peer: string): void {
    this.#server ??= this.#createServer();
    const server = this.#server;
    const socket = new Socket({ fd, readable: true, writable: true });
    socket.unshift(bytes);
    server.once("session", (session: ServerHttp2Session) => {
      this.#adopt(session, peer);
    });
    server.emit("connection", socket);
  }

  #createServer(): Http2Server {
    const { limits } = this.#owner;
    const server = process.getBuiltinModule("node:http2").createServer({
      maxHeaderListPairs: limits.maxHeaders + 4, // with the pseudo-headers
      settings: {
        maxHeaderListSize: limits.maxHeaderBytes,
        maxConcurrentStreams: limits.maxConcurrentRequests,
        enablePush: false,
      },
      // A client that opens streams to reset them at once, or sends settings and pings without end, is no client.
      maxSessionInvalidFrames: 100,
      streamResetBurst: 200,
      streamResetRate: 33,
    });
    server.on("stream", (stream, headers, _flags, rawHeaders) => {
      const state = this.#sessions.get(stream.session as ServerHttp2Session);
      if (state === undefined) return; // it is closed
      state.streams++;
      stream.once("close", () => {
        state.streams--;
        state.idleSince = performance.now();
      });
      const { peer } = state;
      Exchange2.begin(this.#owner, { stream: stream as ServerHttp2Stream, headers, rawHeaders, peer });
    });
    server.on("sessionError", () => {}); // the session is closed, and its streams learn of it
    return server;
  }

  #adopt(session: ServerHttp2Session, peer: string): void {
    this.#sessions.set(session, { peer, streams: 0, idleSince: performance.now() });
    session.once("close", () => {
      this.#sessions.delete(session);
      this.#owner.http2Ended();
    });
    if (this.#draining) session.close();
  }

  /** Closes connections on which nothing has been asked for long, whatever else comes on them. */
  sweep(now: number): void {
    const since = now - this.#owner.limits.keepAliveTimeoutMs;
    for (const [session, { streams, idleSince }] of this.#sessions)
      if (streams === 0 && idleSince <= since) session.close();
  }

  /** GOAWAY: streams that are open are answered, no others are taken. */
  drain(): void {
    this.#draining = true;
    for (const session of this.#sessions.keys()) session.close();
  }

  destroy(): void {
    for (const session of this.#sessions.keys()) session.destroy();
  }
}
