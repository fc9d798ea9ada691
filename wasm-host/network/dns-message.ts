import type { IpAddress } from "./address.ts";

/** Of the records that are asked for: RFC 1035, RFC 3596. */
export const recordTypes = { A: 1, AAAA: 28 } as const;
export type RecordType = (typeof recordTypes)[keyof typeof recordTypes];

/** RFC 1035 section 4.1.1 */
export const responseCodes = { noError: 0, nameError: 3 } as const;

const CNAME = 5;
const CLASS_IN = 1;
const headerLength = 12;
const flags = { response: 0x8000, opcode: 0x7800, truncated: 0x0200, recursionDesired: 0x0100, code: 0x000f };
/** A longer chain of aliases is a loop, or somebody's joke. */
const longestChain = 16;

export interface DnsResponse {
  readonly code: number;
  /** There is more than a datagram holds: to be asked again over TCP. */
  readonly truncated: boolean;
  /** Of the name that was asked for, or of what it is an alias of. */
  readonly addresses: readonly IpAddress[];
}

/** @param name ASCII without a dot at the end, at most 253 long, labels of 1 to 63 */
export function encodeQuery(id: number, name: string, type: RecordType): Uint8Array {
  const bytes = new Uint8Array(headerLength + name.length + 2 + 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id);
  view.setUint16(2, flags.recursionDesired);
  view.setUint16(4, 1);
  let at = headerLength;
  for (const label of name.split(".")) {
    bytes[at++] = label.length;
    for (const character of label) bytes[at++] = character.charCodeAt(0);
  }
  view.setUint16(at + 1, type);
  view.setUint16(at + 3, CLASS_IN);
  return bytes;
}

/** The answer to this query; undefined for anything else that arrives, forged or broken. */
export function decodeResponse(bytes: Uint8Array, query: Uint8Array, name: string): DnsResponse | undefined {
  try {
    return decode(new MessageReader(bytes), query, name);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // it ends within a record
    throw error;
  }
}

function decode(reader: MessageReader, query: Uint8Array, name: string): DnsResponse | undefined {
  const id = reader.u16();
  const flagBits = reader.u16();
  const [questions, answers] = [reader.u16(), reader.u16()];
  reader.skip(4);
  const asked = new DataView(query.buffer);
  if (id !== asked.getUint16(0) || questions !== 1) return undefined;
  if ((flagBits & flags.response) === 0 || (flagBits & flags.opcode) !== 0) return undefined;
  const type = asked.getUint16(query.length - 4);
  if (reader.name() !== name || reader.u16() !== type || reader.u16() !== CLASS_IN) return undefined;
  const truncated = (flagBits & flags.truncated) !== 0;
  return {
    code: flagBits & flags.code,
    truncated,
    addresses: truncated ? [] : readAnswers(reader, answers, name, type),
  };
}

function readAnswers(reader: MessageReader, count: number, name: string, type: number): IpAddress[] {
  const aliases = new Map<string, string>();
  const found: { readonly owner: string; readonly address: IpAddress }[] = [];
  for (let index = 0; index < count; index++) {
    const owner = reader.name();
    const recordType = reader.u16();
    const recordClass = reader.u16();
    reader.skip(4); // its time to live: nothing is kept
    const length = reader.u16();
    const next = reader.at + length;
    if (recordClass === CLASS_IN && recordType === CNAME) aliases.set(owner, reader.name());
    if (recordClass === CLASS_IN && recordType === type && length === (type === recordTypes.A ? 4 : 16))
      found.push({ owner, address: reader.bytes(length) });
    reader.at = next;
  }
  const names = new Set([name]);
  for (
    let alias = aliases.get(name);
    alias !== undefined && names.size <= longestChain;
    alias = aliases.get(alias)
  )
    names.add(alias);
  return found.filter(({ owner }) => names.has(owner)).map(({ address }) => address);
}

/** Reads a message from its beginning; beyond its end is a RangeError. */
class MessageReader {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u16(): number {
    this.at += 2;
    return this.#view.getUint16(this.at - 2);
  }

  skip(length: number): void {
    this.at += length;
  }

  bytes(length: number): Uint8Array {
    if (this.at + length > this.#bytes.length) throw new RangeError("beyond the message");
    this.at += length;
    return this.#bytes.slice(this.at - length, this.at);
  }

  /** Lower case, without a dot at the end. Pointers lead backwards only, so that no message makes it go round. */
  name(): string {
    const labels: string[] = [];
    let at = this.at;
    let end: number | undefined;
    for (let earliest = at; ; ) {
      const length = this.#view.getUint8(at);
      if (length >= 0xc0) {
        end ??= at + 2;
        at = this.#view.getUint16(at) & 0x3fff;
        if (at >= earliest) throw new RangeError("pointer leads forward");
        earliest = at;
        continue;
      }
      if (length === 0) break;
      if (length > 63 || at + 1 + length > this.#bytes.length) throw new RangeError("label is too long");
      labels.push(
        Buffer.from(this.#bytes.subarray(at + 1, at + 1 + length))
          .toString("latin1")
          .toLowerCase(),
      );
      at += 1 + length;
    }
    this.at = end ?? at + 1;
    return labels.join(".");
  }
}
