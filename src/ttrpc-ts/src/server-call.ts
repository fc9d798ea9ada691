import type { DescMessage } from "@bufbuild/protobuf";
import type { RequestEnvelope } from "./envelope.ts";
import type { TtrpcError } from "./error.ts";
import type { MessageQueue } from "./message-queue.ts";
import type { CallContext, Peer } from "./service.ts";

/** One call in flight; also the context its handler sees. The signal is only made if somebody asks for it. */
export class ServerCall implements CallContext {
  readonly streamId: number;
  readonly peer: Peer;
  readonly startedAt = performance.now();
  /** What the call's request counts against the connection's limit. */
  readonly heldBytes: number;
  /** Incoming messages, for methods whose client streams. */
  requests: MessageQueue<unknown> | undefined;
  /** The type of those messages. */
  requestSchema: DescMessage | undefined;
  timer: NodeJS.Timeout | undefined;
  /** An answer was sent, or can no longer be. */
  finished = false;
  readonly #request: RequestEnvelope;
  #controller: AbortController | undefined;
  #reason: TtrpcError | undefined;

  constructor(streamId: number, request: RequestEnvelope, peer: Peer) {
    this.streamId = streamId;
    this.peer = peer;
    this.#request = request;
    this.heldBytes = request.payload.length;
  }

  get service(): string {
    return this.#request.service;
  }

  get method(): string {
    return this.#request.method;
  }

  get metadata(): CallContext["metadata"] {
    return this.#request.metadata;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  abort(reason: TtrpcError): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
