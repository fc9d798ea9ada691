import { connect as connectSocket, type Socket } from "node:net";
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { ClientConnection, type Reply } from "./client-connection.ts";
import { TtrpcError } from "./error.ts";
import { frameFlags } from "./frame.ts";
import { MessageQueue } from "./message-queue.ts";
import type { CallOptions, ServiceClient } from "./service.ts";

/** A connection to a ttrpc server. */
export class Client implements AsyncDisposable {
  readonly #connection: ClientConnection;

  constructor(socket: Socket) {
    this.#connection = new ClientConnection(socket);
  }

  /** Resolves, never rejects, when the connection is gone; calls pending then have rejected with `unavailable`. */
  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  /** Typed functions for a service, under its own name or the one given. Calls reject with TtrpcError only. */
  service<Service extends DescService>(
    descriptor: Service,
    name: string = descriptor.typeName,
  ): ServiceClient<Service> {
    const methods: Record<string, unknown> = {};
    for (const method of descriptor.methods) {
      methods[method.localName] = (input: unknown, options?: CallOptions) =>
        this.#call(name, method, input, options);
    }
    return methods as ServiceClient<Service>;
  }

  /** Sends what was called, rejects what is pending with `unavailable`, and resolves when the connection is gone. */
  close(): Promise<void> {
    this.#connection.end();
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #call(service: string, method: DescMethod, input: unknown, options: CallOptions = {}): unknown {
    switch (method.methodKind) {
      case "unary":
        return this.#single(service, method, { message: input, options });
      case "client_streaming":
        return this.#single(service, method, { messages: input as AsyncIterable<unknown>, options });
      case "server_streaming":
        return this.#stream(service, method, { message: input, options });
      case "bidi_streaming":
        return this.#stream(service, method, { messages: input as AsyncIterable<unknown>, options });
    }
  }

  /** A call with one answer. */
  #single(service: string, method: DescMethod, call: OutgoingCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#start(service, method, call, {
        streaming: false,
        message: (payload) => resolve(decode(method.output, payload)),
        end: (error) => reject(error ?? new TtrpcError("internal", `${service}/${method.name}: no response`)),
      });
    });
  }

  /** A call with a stream of answers; leaving the iterator early forgets the call. */
  #stream(service: string, method: DescMethod, call: OutgoingCall): AsyncIterable<unknown> {
    let streamId = 0;
    const queue = new MessageQueue<unknown>(this.#connection, () => this.#connection.forget(streamId));
    streamId = this.#start(service, method, call, {
      streaming: true,
      message: (payload) => queue.push(decode(method.output, payload), payload.length),
      end: (error) => queue.end(error),
    });
    return queue;
  }

  #start(service: string, method: DescMethod, call: OutgoingCall, reply: Reply): number {
    const { options, messages } = call;
    let flags = 0;
    if (messages !== undefined) flags = frameFlags.remoteOpen;
    else if (method.methodKind === "server_streaming") flags = frameFlags.remoteClosed;
    let payload = noBytes;
    try {
      if (messages === undefined) payload = encode(method.input, call.message);
    } catch (error) {
      reply.end(TtrpcError.from(error));
      return 0;
    }
    const streamId = this.#connection.request(
      { service, method: method.name, payload, flags, options },
      reply,
    );
    if (messages !== undefined) void this.#sendAll(streamId, method.input, messages);
    return streamId;
  }

  async #sendAll(streamId: number, input: DescMessage, messages: AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const message of messages) {
        if (!this.#connection.isOpen(streamId)) return;
        this.#connection.data(streamId, 0, encode(input, message));
        await this.#connection.drained();
      }
      this.#connection.data(streamId, frameFlags.remoteClosed | frameFlags.noData, noBytes);
    } catch (error) {
      // The caller's own iterator failed: the server learns the end of the stream, the caller the reason.
      this.#connection.data(streamId, frameFlags.remoteClosed | frameFlags.noData, noBytes);
      this.#connection.settle(streamId, TtrpcError.from(error));
    }
  }
}

interface OutgoingCall {
  readonly message?: unknown;
  readonly messages?: AsyncIterable<unknown>;
  readonly options: CallOptions;
}

const noBytes: Uint8Array = new Uint8Array(0);

/** Connects to a unix socket by path, or takes a connected socket. Raises `unavailable` when nobody listens. */
export function connect(target: string | Socket): Promise<Client> {
  if (typeof target !== "string") return Promise.resolve(new Client(target));
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ path: target });
    const refuse = (error: Error) => {
      reject(new TtrpcError("unavailable", `connect ${target}: ${error.message}`, { cause: error }));
    };
    socket.once("error", refuse);
    socket.once("connect", () => {
      socket.off("error", refuse);
      resolve(new Client(socket));
    });
  });
}

function encode(schema: DescMessage, message: unknown): Uint8Array {
  try {
    return toBinary(schema, create(schema, message as MessageShape<DescMessage>));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TtrpcError("invalid_argument", `cannot encode ${schema.typeName}: ${reason}`, { cause: error });
  }
}

function decode(schema: DescMessage, payload: Uint8Array): unknown {
  try {
    return fromBinary(schema, payload);
  } catch (error) {
    throw new TtrpcError("internal", `malformed ${schema.typeName} in a response`, { cause: error });
  }
}
