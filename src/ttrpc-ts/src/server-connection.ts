import type { Socket } from "node:net";
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Connection, type ConnectionSink } from "./connection.ts";
import { decodeRequest, encodeErrorFrame, encodeResponseFrame, type RequestEnvelope } from "./envelope.ts";
import { type TtrpcCode, TtrpcError } from "./error.ts";
import { encodeFrame, type FrameHeader, frameFlags, frameTypes } from "./frame.ts";
import { MessageQueue } from "./message-queue.ts";
import { ServerCall } from "./server-call.ts";
import type { Peer, Route, Routes } from "./service.ts";

/** Told once per call, when its answer is written or its connection is gone. */
export interface CallRecord {
  readonly service: string;
  readonly method: string;
  readonly peer: Peer;
  readonly code: "ok" | TtrpcCode;
  readonly error: TtrpcError | undefined;
  readonly milliseconds: number;
}

export interface ServerConnectionOptions {
  readonly routes: Routes;
  readonly peer: Peer;
  readonly maxCallsPerConnection: number;
  readonly maxBufferedBytes: number;
  readonly toError: (thrown: unknown) => TtrpcError;
  readonly onCall: ((record: CallRecord) => void) | undefined;
  readonly onClose: (connection: ServerConnection, error: Error | undefined) => void;
}

/** Timers take 31 bits; a longer deadline is as good as none. */
const maxTimerMs = 2 ** 31 - 1;

/** The server's side of one connection: finds the handler of each request and writes its answers. */
export class ServerConnection implements ConnectionSink {
  readonly #connection: Connection;
  readonly #options: ServerConnectionOptions;
  readonly #calls = new Map<number, ServerCall>();
  #lastStreamId = 0;
  #requestBytes = 0;

  constructor(socket: Socket, options: ServerConnectionOptions) {
    this.#options = options;
    this.#connection = new Connection(socket, this, {
      maxBufferedBytes: options.maxBufferedBytes,
      pauseOnBacklog: true,
    });
  }

  end(flushTimeoutMs: number): void {
    this.#connection.end(flushTimeoutMs);
  }

  onFrame(header: FrameHeader, payload: Uint8Array): void {
    if (!this.#connection.writable) return;
    // Other types are for later versions of the protocol, or for clients.
    if (header.type === frameTypes.request) this.#onRequest(header, payload);
    else if (header.type === frameTypes.data) this.#onData(header, payload);
  }

  onOversize(header: FrameHeader): void {
    const error = new TtrpcError(
      "resource_exhausted",
      `message of ${header.length} bytes exceeds the limit of 4 MiB`,
    );
    if (header.type === frameTypes.request) {
      if (this.#claimStreamId(header.streamId)) this.#refuse(header.streamId, error);
      return;
    }
    const call = this.#calls.get(header.streamId);
    if (header.type === frameTypes.data && call !== undefined) this.#abort(call, error);
  }

  onClose(error: Error | undefined): void {
    const reason = new TtrpcError(
      "canceled",
      "connection closed",
      error === undefined ? undefined : { cause: error },
    );
    for (const call of this.#calls.values()) {
      call.abort(reason);
      this.#finish(call, reason);
    }
    this.#options.onClose(this, error);
  }

  /** Client ids are odd and rise; anything else is answered here. */
  #claimStreamId(streamId: number): boolean {
    if (streamId % 2 === 1 && streamId > this.#lastStreamId) {
      this.#lastStreamId = streamId;
      return true;
    }
    const rule = streamId % 2 === 1 ? `must be above ${this.#lastStreamId}` : "must be odd";
    this.#refuse(streamId, new TtrpcError("invalid_argument", `stream id ${streamId} ${rule}`));
    return false;
  }

  #refuse(streamId: number, error: TtrpcError): void {
    this.#connection.write(encodeErrorFrame(streamId, error));
  }

  #onRequest(header: FrameHeader, payload: Uint8Array): void {
    const { streamId } = header;
    if (!this.#claimStreamId(streamId)) return;
    // Not paused instead: among the calls in flight may be some that only a later request ends.
    if (
      this.#calls.size >= this.#options.maxCallsPerConnection ||
      this.#requestBytes + payload.length > this.#options.maxBufferedBytes
    ) {
      this.#refuse(
        streamId,
        new TtrpcError("resource_exhausted", "too many calls in flight on this connection"),
      );
      return;
    }
    let request: RequestEnvelope;
    try {
      request = decodeRequest(payload);
    } catch (error) {
      this.#refuse(streamId, TtrpcError.from(error));
      return;
    }
    const call = new ServerCall(streamId, request, this.#options.peer);
    this.#calls.set(streamId, call);
    this.#requestBytes += call.heldBytes;
    const route = this.#options.routes.get(request.service)?.get(request.method);
    if (route === undefined) {
      this.#fail(
        call,
        new TtrpcError("unimplemented", `${request.service}/${request.method}: not implemented`),
      );
    } else if (this.#startTimer(call, request.timeoutNano)) {
      this.#dispatch(call, route, { header, payload: request.payload });
    }
  }

  /** Returns false when the deadline has passed already. */
  #startTimer(call: ServerCall, timeoutNano: number): boolean {
    if (timeoutNano === 0) return true;
    if (timeoutNano < 0) {
      this.#expire(call);
      return false;
    }
    const milliseconds = Math.ceil(timeoutNano / 1e6);
    if (milliseconds <= maxTimerMs) call.timer = setTimeout(() => this.#expire(call), milliseconds);
    return true;
  }

  #expire(call: ServerCall): void {
    this.#abort(
      call,
      new TtrpcError("deadline_exceeded", `${call.service}/${call.method}: deadline exceeded`),
    );
  }

  #dispatch(call: ServerCall, route: Route, first: { header: FrameHeader; payload: Uint8Array }): void {
    const { method } = route;
    const streamsIn = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
    let result: unknown;
    try {
      let input: unknown;
      if (streamsIn) input = this.#openRequests(call, method.input, first);
      else input = decodeMessage(method.input, first.payload);
      result = route.handle(input, call);
    } catch (error) {
      this.#fail(call, error);
      return;
    }
    if (method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming") {
      void this.#sendAll(call, method.output, result as AsyncIterable<unknown>);
    } else if (result instanceof Promise) {
      result.then(
        (message) => this.#reply(call, method.output, message),
        (error: unknown) => this.#fail(call, error),
      );
    } else this.#reply(call, method.output, result);
  }

  #openRequests(
    call: ServerCall,
    input: DescMessage,
    first: { header: FrameHeader; payload: Uint8Array },
  ): MessageQueue<unknown> {
    const requests = new MessageQueue<unknown>(this.#connection);
    call.requests = requests;
    call.requestSchema = input;
    // As containerd's server: a request may carry the first message, an empty one does not.
    if (first.payload.length > 0) requests.push(decodeMessage(input, first.payload), first.payload.length);
    if ((first.header.flags & frameFlags.remoteClosed) !== 0) requests.end();
    return requests;
  }

  #onData(header: FrameHeader, payload: Uint8Array): void {
    const call = this.#calls.get(header.streamId);
    if (call?.requests === undefined) return;
    const input = call.requestSchema;
    if (input !== undefined && (header.flags & frameFlags.noData) === 0) {
      try {
        call.requests.push(decodeMessage(input, payload), payload.length);
      } catch (error) {
        this.#abort(call, TtrpcError.from(error));
        return;
      }
    }
    if ((header.flags & frameFlags.remoteClosed) !== 0) call.requests.end();
  }

  #reply(call: ServerCall, output: DescMessage, message: unknown): void {
    if (call.finished) return;
    let frame: Buffer;
    try {
      frame = encodeResponseFrame(call.streamId, encodeMessage(output, message));
    } catch (error) {
      this.#fail(call, error);
      return;
    }
    this.#connection.write(frame);
    this.#finish(call, undefined);
  }

  /** Sends a handler's messages as data frames, as fast as the peer reads them, then closes the stream. */
  async #sendAll(call: ServerCall, output: DescMessage, messages: AsyncIterable<unknown>): Promise<void> {
    const { streamId } = call;
    try {
      for await (const message of messages) {
        if (call.finished) return;
        const payload = encodeMessage(output, message);
        this.#connection.write(encodeFrame({ streamId, type: frameTypes.data, flags: 0 }, payload));
        await this.#connection.drained();
      }
    } catch (error) {
      this.#fail(call, error);
      return;
    }
    if (call.finished) return;
    // A response frame would reach containerd's client as one more, empty, message.
    const flags = frameFlags.remoteClosed | frameFlags.noData;
    this.#connection.write(encodeFrame({ streamId, type: frameTypes.data, flags }, noBytes));
    this.#finish(call, undefined);
  }

  #abort(call: ServerCall, error: TtrpcError): void {
    call.abort(error);
    this.#fail(call, error);
  }

  #fail(call: ServerCall, thrown: unknown): void {
    if (call.finished) return;
    const error = thrown instanceof TtrpcError ? thrown : this.#toError(thrown);
    this.#connection.write(encodeErrorFrame(call.streamId, error));
    this.#finish(call, error);
  }

  /** The hook is the host's code: if it throws too, that is what the peer is told. */
  #toError(thrown: unknown): TtrpcError {
    try {
      return this.#options.toError(thrown);
    } catch (error) {
      return TtrpcError.from(error);
    }
  }

  #finish(call: ServerCall, error: TtrpcError | undefined): void {
    if (call.finished) return;
    call.finished = true;
    this.#calls.delete(call.streamId);
    this.#requestBytes -= call.heldBytes;
    clearTimeout(call.timer);
    // Queued messages nobody will answer for are dropped; a reader that waits learns why.
    call.requests?.end(error);
    call.requests?.discard();
    this.#options.onCall?.({
      service: call.service,
      method: call.method,
      peer: call.peer,
      code: error === undefined ? "ok" : error.code,
      error,
      milliseconds: performance.now() - call.startedAt,
    });
  }
}

const noBytes = new Uint8Array(0);

function decodeMessage(schema: DescMessage, payload: Uint8Array): MessageShape<DescMessage> {
  try {
    return fromBinary(schema, payload);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TtrpcError("invalid_argument", `malformed ${schema.typeName}: ${reason}`, { cause: error });
  }
}

/** `create` returns its argument when that is a message of the type already. */
function encodeMessage(schema: DescMessage, message: unknown): Uint8Array {
  return toBinary(schema, create(schema, message as MessageShape<DescMessage>));
}
