import type { Socket } from "node:net";
import { Connection, type ConnectionSink } from "./connection.ts";
import { decodeResponse, encodeRequestFrame } from "./envelope.ts";
import { TtrpcError } from "./error.ts";
import { encodeFrame, type FrameHeader, frameFlags, frameTypes } from "./frame.ts";
import type { ByteAccount } from "./message-queue.ts";
import type { CallOptions } from "./service.ts";

/** Where the answers of one call go. */
export interface Reply {
  /** Whether several messages may come. */
  readonly streaming: boolean;
  /** One answer. May throw a TtrpcError when it is malformed, which then ends the call. */
  message(payload: Uint8Array): void;
  /** The last word, at most once; without an error for a stream that ended well. Calls after a single answer do no harm. */
  end(error: TtrpcError | undefined): void;
}

export interface OutgoingRequest {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  readonly flags: number;
  readonly options: CallOptions;
}

interface Pending {
  readonly reply: Reply;
  readonly timer: NodeJS.Timeout | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
}

const maxBufferedBytes = 16 * 1024 * 1024;
const lastStreamId = 2 ** 32 - 1;
const maxTimerMs = 2 ** 31 - 1;

/** The client's side of a connection: numbers the calls and brings each answer to the one who waits for it. */
export class ClientConnection implements ConnectionSink, ByteAccount {
  readonly closed: Promise<void>;
  readonly #connection: Connection;
  readonly #pending = new Map<number, Pending>();
  #resolveClosed: () => void = () => undefined;
  #nextStreamId = 1;

  constructor(socket: Socket) {
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#connection = new Connection(socket, this, { maxBufferedBytes, pauseOnBacklog: false });
    if (socket.destroyed) this.onClose(undefined);
  }

  /** Sends a request and returns its stream id. Failures to send are told to `reply`, never thrown. */
  request(call: OutgoingRequest, reply: Reply): number {
    const streamId = this.#nextStreamId;
    const { options } = call;
    if (!this.#connection.writable || streamId > lastStreamId) {
      reply.end(new TtrpcError("unavailable", `${call.service}/${call.method}: connection closed`));
      return 0;
    }
    if (options.signal?.aborted === true) {
      reply.end(new TtrpcError("canceled", `${call.service}/${call.method}: canceled`));
      return 0;
    }
    let frame: Buffer;
    try {
      frame = encodeRequestFrame(streamId, call.flags, {
        service: call.service,
        method: call.method,
        payload: call.payload,
        timeoutNano: options.timeoutMs === undefined ? 0 : Math.max(1, Math.round(options.timeoutMs * 1e6)),
        metadata: metadataOf(options),
      });
    } catch (error) {
      reply.end(TtrpcError.from(error));
      return 0;
    }
    this.#nextStreamId += 2;
    this.#pending.set(streamId, this.#pend(streamId, call, reply));
    this.#connection.write(frame);
    return streamId;
  }

  #pend(streamId: number, call: OutgoingRequest, reply: Reply): Pending {
    const { timeoutMs, signal } = call.options;
    const name = `${call.service}/${call.method}`;
    let timer: NodeJS.Timeout | undefined;
    if (timeoutMs !== undefined && timeoutMs <= maxTimerMs) {
      const expire = () =>
        this.settle(streamId, new TtrpcError("deadline_exceeded", `${name}: deadline exceeded`));
      timer = setTimeout(expire, timeoutMs);
    }
    let onAbort: (() => void) | undefined;
    if (signal !== undefined) {
      onAbort = () => this.settle(streamId, new TtrpcError("canceled", `${name}: canceled`));
      signal.addEventListener("abort", onAbort);
    }
    return { reply, timer, signal, onAbort };
  }

  isOpen(streamId: number): boolean {
    return this.#pending.has(streamId);
  }

  /** Sends a data frame of an open stream. Raises `resource_exhausted` when it is longer than a frame may be. */
  data(streamId: number, flags: number, payload: Uint8Array): void {
    if (!this.#pending.has(streamId)) return;
    this.#connection.write(encodeFrame({ streamId, type: frameTypes.data, flags }, payload));
  }

  drained(): Promise<void> | undefined {
    return this.#connection.drained();
  }

  hold(bytes: number): void {
    this.#connection.hold(bytes);
  }

  release(bytes: number): void {
    this.#connection.release(bytes);
  }

  /** Ends a call here; what the server still sends for it is dropped. */
  settle(streamId: number, error: TtrpcError | undefined): void {
    this.forget(streamId)?.reply.end(error);
  }

  /** Forgets a call whose answers nobody wants any more. */
  forget(streamId: number): Pending | undefined {
    const pending = this.#pending.get(streamId);
    if (pending === undefined) return undefined;
    this.#pending.delete(streamId);
    clearTimeout(pending.timer);
    if (pending.onAbort !== undefined) pending.signal?.removeEventListener("abort", pending.onAbort);
    return pending;
  }

  end(): void {
    this.#failAll(new TtrpcError("unavailable", "connection closed by the client"));
    this.#connection.end(1000);
  }

  onFrame(header: FrameHeader, payload: Uint8Array): void {
    const pending = this.#pending.get(header.streamId);
    if (pending === undefined) return;
    try {
      if (header.type === frameTypes.response) this.#onResponse(header.streamId, pending, payload);
      else if (header.type === frameTypes.data) this.#onData(header, pending, payload);
    } catch (error) {
      const reason = TtrpcError.from(error);
      this.settle(header.streamId, new TtrpcError("internal", reason.message, { cause: reason }));
    }
  }

  onOversize(header: FrameHeader): void {
    const message = `response of ${header.length} bytes exceeds the limit of 4 MiB`;
    this.settle(header.streamId, new TtrpcError("resource_exhausted", message));
  }

  onClose(error: Error | undefined): void {
    const options = error === undefined ? undefined : { cause: error };
    this.#failAll(new TtrpcError("unavailable", "connection closed by the server", options));
    this.#resolveClosed();
  }

  #onResponse(streamId: number, pending: Pending, payload: Uint8Array): void {
    const response = decodeResponse(payload);
    if (response.error !== undefined) this.settle(streamId, response.error);
    else {
      // A stream's closing response carries a message only if it carries bytes.
      if (!pending.reply.streaming || response.payload.length > 0) pending.reply.message(response.payload);
      this.settle(streamId, undefined);
    }
  }

  #onData(header: FrameHeader, pending: Pending, payload: Uint8Array): void {
    if (!pending.reply.streaming) {
      throw new TtrpcError("internal", "data frame for a call with a single response");
    }
    if ((header.flags & frameFlags.noData) === 0) pending.reply.message(payload);
    if ((header.flags & frameFlags.remoteClosed) !== 0) this.settle(header.streamId, undefined);
  }

  #failAll(error: TtrpcError): void {
    for (const streamId of [...this.#pending.keys()]) this.settle(streamId, error);
  }
}

function metadataOf(options: CallOptions): Map<string, readonly string[]> {
  const metadata = new Map<string, readonly string[]>();
  for (const [key, value] of Object.entries(options.metadata ?? {})) {
    metadata.set(key, typeof value === "string" ? [value] : value);
  }
  return metadata;
}
