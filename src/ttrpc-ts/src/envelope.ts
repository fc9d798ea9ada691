/**
 * Request and Response, the two messages around every call (containerd/ttrpc `request.proto`), coded by hand: they are small,
 * fixed and on the path of every call, and header, envelope and payload end in one buffer.
 *
 *   Request  1 service  2 method  3 payload  4 timeout_nano  5 repeated KeyValue {1 key, 2 value}
 *   Response 1 Status {1 code, 2 message, 3 details}  2 payload
 */
import { codeFromNumber, codeNumbers, TtrpcError } from "./error.ts";
import { allocateFrame, frameHeaderLength, frameTypes } from "./frame.ts";
import { varintLength, WireReader, writeVarint } from "./wire.ts";

/** Keys are lower case; a repeated key has several values. */
export type Metadata = ReadonlyMap<string, readonly string[]>;

export interface RequestEnvelope {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  /** Nanoseconds; 0 is none, negative is a deadline that has passed already. */
  readonly timeoutNano: number;
  readonly metadata: Metadata;
}

export interface ResponseEnvelope {
  readonly error: TtrpcError | undefined;
  readonly payload: Uint8Array;
}

const empty = new Uint8Array(0);
const noMetadata: Metadata = new Map();

/** Raises `invalid_argument` for bytes that are no Request. */
export function decodeRequest(bytes: Uint8Array): RequestEnvelope {
  const reader = new WireReader(bytes);
  let service = "";
  let method = "";
  let payload: Uint8Array = empty;
  let timeoutNano = 0;
  let metadata: Map<string, string[]> | undefined;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x0a) service = reader.string();
    else if (tag === 0x12) method = reader.string();
    else if (tag === 0x1a) payload = reader.bytes();
    else if (tag === 0x20) timeoutNano = reader.varint();
    else if (tag === 0x2a) {
      metadata ??= new Map();
      addKeyValue(metadata, reader.bytes());
    } else reader.skip(tag);
  }
  return { service, method, payload, timeoutNano, metadata: metadata ?? noMetadata };
}

function addKeyValue(metadata: Map<string, string[]>, bytes: Uint8Array): void {
  const reader = new WireReader(bytes);
  let key = "";
  let value = "";
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x0a) key = reader.string();
    else if (tag === 0x12) value = reader.string();
    else reader.skip(tag);
  }
  const name = key.toLowerCase();
  const values = metadata.get(name);
  if (values === undefined) metadata.set(name, [value]);
  else values.push(value);
}

/** Raises `invalid_argument` for bytes that are no Response. */
export function decodeResponse(bytes: Uint8Array): ResponseEnvelope {
  const reader = new WireReader(bytes);
  let error: TtrpcError | undefined;
  let payload: Uint8Array = empty;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x0a) error = decodeStatus(reader.bytes());
    else if (tag === 0x12) payload = reader.bytes();
    else reader.skip(tag);
  }
  return { error, payload };
}

function decodeStatus(bytes: Uint8Array): TtrpcError | undefined {
  const reader = new WireReader(bytes);
  let code = 0;
  let message = "";
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x08) code = reader.varint();
    else if (tag === 0x12) message = reader.string();
    else reader.skip(tag);
  }
  return code === 0 ? undefined : new TtrpcError(codeFromNumber(code), message);
}

/** One request frame. Raises `resource_exhausted` when it would be longer than a frame may be. */
export function encodeRequestFrame(streamId: number, flags: number, request: RequestEnvelope): Buffer {
  const pairs: [Buffer, Buffer][] = [];
  let length =
    fieldLength(Buffer.byteLength(request.service)) + fieldLength(Buffer.byteLength(request.method));
  if (request.payload.length > 0) length += fieldLength(request.payload.length);
  if (request.timeoutNano > 0) length += 1 + varintLength(request.timeoutNano);
  for (const [key, values] of request.metadata) {
    for (const value of values) {
      const pair: [Buffer, Buffer] = [Buffer.from(key.toLowerCase()), Buffer.from(value)];
      pairs.push(pair);
      length += fieldLength(fieldLength(pair[0].length) + fieldLength(pair[1].length));
    }
  }
  const frame = allocateFrame({ length, streamId, type: frameTypes.request, flags });
  let at = writeString(frame, frameHeaderLength, 0x0a, request.service);
  at = writeString(frame, at, 0x12, request.method);
  if (request.payload.length > 0) at = writeBytes(frame, at, 0x1a, request.payload);
  if (request.timeoutNano > 0) {
    frame[at] = 0x20;
    at = writeVarint(frame, at + 1, request.timeoutNano);
  }
  for (const [key, value] of pairs) {
    frame[at] = 0x2a;
    at = writeVarint(frame, at + 1, fieldLength(key.length) + fieldLength(value.length));
    at = writeBytes(frame, at, 0x0a, key);
    at = writeBytes(frame, at, 0x12, value);
  }
  return frame;
}

/** The response frame of a call that succeeded; an empty payload gives an empty body. Raises `resource_exhausted`. */
export function encodeResponseFrame(streamId: number, payload: Uint8Array): Buffer {
  const length = payload.length === 0 ? 0 : fieldLength(payload.length);
  const frame = allocateFrame({ length, streamId, type: frameTypes.response, flags: 0 });
  if (length > 0) writeBytes(frame, frameHeaderLength, 0x12, payload);
  return frame;
}

/** Longer messages are cut: a status must always fit its frame, whatever a handler threw. */
const maxMessageLength = 16 * 1024;

/** The response frame of a call that failed. Never raises. */
export function encodeErrorFrame(streamId: number, error: TtrpcError): Buffer {
  const message =
    error.message.length > maxMessageLength ? error.message.slice(0, maxMessageLength) : error.message;
  const statusLength = 2 + fieldLength(Buffer.byteLength(message));
  const frame = allocateFrame({
    length: fieldLength(statusLength),
    streamId,
    type: frameTypes.response,
    flags: 0,
  });
  frame[frameHeaderLength] = 0x0a;
  let at = writeVarint(frame, frameHeaderLength + 1, statusLength);
  frame[at] = 0x08;
  at = writeVarint(frame, at + 1, codeNumbers[error.code]);
  writeString(frame, at, 0x12, message);
  return frame;
}

function fieldLength(length: number): number {
  return 1 + varintLength(length) + length;
}

function writeString(frame: Buffer, offset: number, tag: number, text: string): number {
  frame[offset] = tag;
  const at = writeVarint(frame, offset + 1, Buffer.byteLength(text));
  return at + frame.write(text, at, "utf8");
}

function writeBytes(frame: Buffer, offset: number, tag: number, bytes: Uint8Array): number {
  frame[offset] = tag;
  const at = writeVarint(frame, offset + 1, bytes.length);
  frame.set(bytes, at);
  return at + bytes.length;
}
