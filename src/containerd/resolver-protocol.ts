import { type ErrorCode, errorCodes, TandemError } from "../errors.ts";
import type { ImageInfo } from "../image/image-info.ts";

/**
 * What a shim and the resolver say to each other on a unix stream socket: one frame each way per question, any number of questions
 * one after the other on a connection.
 *
 *     frame = u32 big endian length · that many bytes of JSON
 *
 *     shim                                   resolver
 *       {namespace, containerId} ──────────▶   container → image → manifest → config, module into the store
 *                                ◀──────────   {image} · {} when containerd knows none · {error: {code, message}}
 */
export interface ResolveRequest {
  readonly namespace: string;
  readonly containerId: string;
}

export type ResolveReply =
  | { readonly image?: ImageInfo }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };

/** Far more than any name in a request or reply can need. */
const MAX_FRAME = 256 * 1024;
const HEADER = 4;

export function encodeFrame(message: ResolveRequest | ResolveReply): Buffer {
  const json = Buffer.from(JSON.stringify(message));
  const frame = Buffer.allocUnsafe(HEADER + json.length);
  frame.writeUInt32BE(json.length, 0);
  json.copy(frame, HEADER);
  return frame;
}

/** Cuts a byte stream into the frames' JSON values. Pure: bytes in, values out. */
export class FrameDecoder {
  #pending: Buffer = Buffer.alloc(0);

  /** @throws TandemError invalid_argument: a frame that is too long or not JSON; the stream is lost after it. */
  push(bytes: Uint8Array): unknown[] {
    this.#pending = this.#pending.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#pending, bytes]);
    const values: unknown[] = [];
    while (this.#pending.length >= HEADER) {
      const length = this.#pending.readUInt32BE(0);
      if (length > MAX_FRAME) throw new TandemError("invalid_argument", `resolver: frame of ${length} bytes`);
      if (this.#pending.length < HEADER + length) break;
      values.push(parse(this.#pending.toString("utf8", HEADER, HEADER + length)));
      this.#pending = this.#pending.subarray(HEADER + length);
    }
    return values;
  }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new TandemError("invalid_argument", "resolver: a frame that is not JSON", { cause: error });
  }
}

/** @throws TandemError invalid_argument */
export function parseRequest(value: unknown): ResolveRequest {
  const { namespace, containerId } = (value ?? {}) as Partial<Record<keyof ResolveRequest, unknown>>;
  if (typeof namespace !== "string" || typeof containerId !== "string" || containerId === "") {
    throw new TandemError("invalid_argument", "resolver: a request without namespace and containerId");
  }
  return { namespace, containerId };
}

export function toErrorReply(thrown: unknown): ResolveReply {
  const { code, message } = TandemError.from(thrown);
  return { error: { code, message } };
}

/** The resolver is of our own build and socket: its reply is taken as what it is typed. @throws TandemError that it replied. */
export function imageFromReply(value: unknown): ImageInfo | undefined {
  const reply = value as ResolveReply;
  if (!("error" in reply)) return reply.image;
  const { code, message } = reply.error;
  throw new TandemError(errorCodes.includes(code) ? code : "internal", message);
}
