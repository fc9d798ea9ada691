import type { Head1 } from "./request-head.ts";

/** RFC 9113 §6 */
const HEADERS = 1;
const CONTINUATION = 9;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const largestFrame = 16_384;

/** Fields of HTTP/1 that HTTP/2 has no place for (RFC 9113 §8.2.2). */
const ofTheConnection: ReadonlySet<string> = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** A request without a body as the frames of stream 1, in HPACK that leaves no trace in the table of either side. */
export function firstStream({ method, path, authority, rawHeaders }: Head1): Buffer {
  const fields: Buffer[] = [
    literal(":method", method),
    literal(":scheme", "http"),
    literal(":path", path),
    ...(authority === undefined ? [] : [literal(":authority", authority)]),
  ];
  const raw = rawHeaders();
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? "").toLowerCase();
    if (!ofTheConnection.has(name) && name !== "te") fields.push(literal(name, raw[index + 1] ?? ""));
  }
  return frames(Buffer.concat(fields));
}

/** RFC 7541 §6.2.2: a field that is not indexed, with a new name, not Huffman coded. */
function literal(name: string, value: string): Buffer {
  const [nameBytes, valueBytes] = [Buffer.from(name, "latin1"), Buffer.from(value, "latin1")];
  return Buffer.concat([
    Buffer.of(0),
    integer(nameBytes.length),
    nameBytes,
    integer(valueBytes.length),
    valueBytes,
  ]);
}

/** RFC 7541 §5.1, with a prefix of 7 bits. */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  let left = value - 127;
  for (; left >= 128; left >>>= 7) bytes.push((left & 127) | 128);
  return Buffer.from([...bytes, left]);
}

function frames(block: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += largestFrame) {
    const part = block.subarray(at, at + largestFrame);
    const last = at + largestFrame >= block.length;
    const header = Buffer.alloc(9);
    header.writeUIntBE(part.length, 0, 3);
    header[3] = at === 0 ? HEADERS : CONTINUATION;
    header[4] = (at === 0 ? END_STREAM : 0) | (last ? END_HEADERS : 0);
    header.writeUInt32BE(1, 5);
    parts.push(header, part);
  }
  return Buffer.concat(parts);
}
