import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { type ErrorCode, TandemError } from "../errors.ts";

/** containerd's own limit for a gRPC message; a bigger one is refused by either side. */
const MAX_MESSAGE = 16 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 10_000;

export interface CallOptions {
  /** Sent as `containerd-namespace`; every service but version and introspection needs it. */
  readonly namespace?: string;
  /** Sent as `containerd-lease`: what the call creates belongs to that lease. */
  readonly lease?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A call in which both sides stream. `responses` ends with the server's status: it throws where that is an error. */
export interface Duplex<I extends DescMessage, O extends DescMessage> {
  send(request: MessageInitShape<I>): void;
  end(): void;
  readonly responses: AsyncIterableIterator<MessageShape<O>>;
}

type ServiceMethod<M> = M extends {
  methodKind: infer Kind;
  input: infer I extends DescMessage;
  output: infer O extends DescMessage;
}
  ? Kind extends "unary"
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : Kind extends "server_streaming"
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterableIterator<MessageShape<O>>
      : Kind extends "bidi_streaming"
        ? (options?: CallOptions) => Duplex<I, O>
        : never
  : never;

/** A service's methods as promises and async iterators, typed by its descriptor. Each raises TandemError only. */
export type ServiceClient<S extends DescService> = {
  readonly [M in keyof S["method"]]: ServiceMethod<S["method"][M]>;
};

/** One HTTP/2 connection, made with the first call and again after it broke. The caller closes it. */
export function openChannel(socketPath: string): Client {
  return new Client(`unix:${socketPath}`, credentials.createInsecure(), {
    "grpc.max_receive_message_length": MAX_MESSAGE,
    "grpc.max_send_message_length": MAX_MESSAGE,
    // A retried Create would be a second one; whoever calls decides.
    "grpc.enable_retries": 0,
    // Back at once when containerd is: it restarts in less than grpc-js' default second of patience.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
  });
}

/** A client of one gRPC service from its descriptor in api/gen. */
export function createServiceClient<S extends DescService>(channel: Client, service: S): ServiceClient<S> {
  const methods: Record<string, unknown> = {};
  for (const method of service.methods) methods[method.localName] = createMethod(channel, method);
  return methods as ServiceClient<S>;
}

function createMethod(channel: Client, method: DescMethod): unknown {
  switch (method.methodKind) {
    case "unary":
      return (request: MessageInitShape<DescMessage>, options?: CallOptions) =>
        callUnary(channel, method, request, options);
    case "server_streaming":
      return (request: MessageInitShape<DescMessage>, options?: CallOptions) =>
        callStream(channel, method, request, options);
    case "bidi_streaming":
      return (options?: CallOptions) => callDuplex(channel, method, options);
    case "client_streaming":
      return () => {
        throw new TandemError("unimplemented", `${nameOf(method)}: client streaming`);
      };
  }
}

function callUnary(
  channel: Client,
  method: DescMethod,
  request: MessageInitShape<DescMessage>,
  options: CallOptions = {},
) {
  return new Promise((resolve, reject) => {
    const call = channel.makeUnaryRequest(
      pathOf(method),
      serializer(method.input),
      deserializer(method.output),
      request,
      metadataOf(options),
      { deadline: deadlineOf(options) },
      (error, response) => {
        stopListening();
        if (error !== null || response === undefined) reject(toTandemError(method, error));
        else resolve(response);
      },
    );
    const stopListening = onAbort(options.signal, () => call.cancel());
  });
}

async function* callStream(
  channel: Client,
  method: DescMethod,
  request: MessageInitShape<DescMessage>,
  options: CallOptions = {},
): AsyncIterableIterator<unknown> {
  const call = channel.makeServerStreamRequest(
    pathOf(method),
    serializer(method.input),
    deserializer(method.output),
    request,
    metadataOf(options),
    { deadline: deadlineOf(options) },
  );
  yield* receive(call, method, options.signal);
}

function callDuplex(
  channel: Client,
  method: DescMethod,
  options: CallOptions = {},
): Duplex<DescMessage, DescMessage> {
  const call: ClientDuplexStream<unknown, unknown> = channel.makeBidiStreamRequest(
    pathOf(method),
    serializer(method.input),
    deserializer(method.output),
    metadataOf(options),
    { deadline: deadlineOf(options) },
  );
  return {
    send: (request) => void call.write(request),
    end: () => call.end(),
    responses: receive(call, method, options.signal) as AsyncIterableIterator<MessageShape<DescMessage>>,
  };
}

type Receiving = AsyncIterable<unknown> & {
  cancel(): void;
  on(event: "error", listener: (error: Error) => void): unknown;
};

async function* receive(
  call: Receiving,
  method: DescMethod,
  signal: AbortSignal | undefined,
): AsyncIterableIterator<unknown> {
  // Cancelling raises an error event that may come after the last read: it has no other listener then.
  call.on("error", () => undefined);
  const stopListening = onAbort(signal, () => call.cancel());
  try {
    yield* call;
  } catch (error) {
    throw toTandemError(method, error);
  } finally {
    stopListening();
    call.cancel();
  }
}

function onAbort(signal: AbortSignal | undefined, cancel: () => void): () => void {
  if (signal === undefined) return () => undefined;
  if (signal.aborted) cancel();
  signal.addEventListener("abort", cancel, { once: true });
  return () => signal.removeEventListener("abort", cancel);
}

function serializer(schema: DescMessage): (value: unknown) => Buffer {
  return (value) => {
    const bytes = toBinary(schema, create(schema, value as MessageInitShape<DescMessage>));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function deserializer(schema: DescMessage): (bytes: Buffer) => MessageShape<DescMessage> {
  return (bytes) => fromBinary(schema, bytes);
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  if (options.namespace !== undefined) metadata.set("containerd-namespace", options.namespace);
  if (options.lease !== undefined) metadata.set("containerd-lease", options.lease);
  return metadata;
}

function deadlineOf(options: CallOptions): Date {
  return new Date(Date.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS));
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function nameOf(method: DescMethod): string {
  return `containerd ${method.parent.name}.${method.name}`;
}

/** gRPC status → our code. What has no counterpart is a bug on one of the two sides. */
const codes: Readonly<Record<number, ErrorCode>> = {
  [status.CANCELLED]: "unavailable",
  [status.INVALID_ARGUMENT]: "invalid_argument",
  [status.DEADLINE_EXCEEDED]: "deadline_exceeded",
  [status.NOT_FOUND]: "not_found",
  [status.ALREADY_EXISTS]: "already_exists",
  [status.PERMISSION_DENIED]: "permission_denied",
  [status.RESOURCE_EXHAUSTED]: "resource_exhausted",
  [status.FAILED_PRECONDITION]: "failed_precondition",
  [status.ABORTED]: "unavailable",
  [status.OUT_OF_RANGE]: "invalid_argument",
  [status.UNIMPLEMENTED]: "unimplemented",
  [status.UNAVAILABLE]: "unavailable",
  [status.UNAUTHENTICATED]: "permission_denied",
};

function toTandemError(method: DescMethod, thrown: unknown): TandemError {
  if (thrown instanceof TandemError) return thrown;
  const { code, details } = (thrown ?? {}) as Partial<ServiceError>;
  if (typeof code !== "number") return TandemError.from(thrown ?? "no response", nameOf(method));
  return new TandemError(codes[code] ?? "internal", `${nameOf(method)}: ${details || status[code]}`, {
    cause: thrown,
  });
}
