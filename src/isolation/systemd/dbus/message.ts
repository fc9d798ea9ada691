import { TandemError } from "../../../errors.ts";
import { type DbusValue, marshal, unmarshal } from "./marshal.ts";

/** dbus-specification "Message Types". */
export const messageTypes = { methodCall: 1, methodReturn: 2, error: 3, signal: 4 } as const;

/** dbus-specification "Header Fields": number ↦ signature of the value. */
const fields = {
  path: [1, "o"],
  interface: [2, "s"],
  member: [3, "s"],
  errorName: [4, "s"],
  replySerial: [5, "u"],
  destination: [6, "s"],
  sender: [7, "s"],
  signature: [8, "g"],
} as const;

/** One message, as either side sends it. */
export interface Message {
  readonly type: number;
  readonly serial: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  readonly errorName?: string;
  readonly replySerial?: number;
  readonly destination?: string;
  readonly sender?: string;
  readonly signature?: string;
  readonly body: readonly DbusValue[];
}

const headerSignature = "yyyyuua(yv)";
/** Up to and with the length of the array of header fields. */
const FIXED_BYTES = 16;
/** What the manager says fits into a page; the specification's 128 MB are not for a shim to hold. */
const MAX_MESSAGE_BYTES = 1 << 22;

/** The bytes of a message, dbus-specification "Message Protocol". */
export function encodeMessage(message: Message): Buffer {
  const body = marshal(message.signature ?? "", message.body);
  const present = Object.entries(fields).flatMap(([name, [code, signature]]) => {
    const value = message[name as keyof typeof fields];
    return value === undefined ? [] : [[code, { signature, value }] as const];
  });
  const header = marshal(headerSignature, [0x6c, message.type, 0, 1, body.length, message.serial, present]);
  return Buffer.concat([header, Buffer.alloc(padding(header.length)), body]);
}

/**
 * Takes the first message off `bytes`; undefined while it has not all arrived.
 *
 * @throws TandemError unavailable for bytes that are no message.
 */
export function decodeMessage(
  bytes: Buffer,
): { readonly message: Message; readonly length: number } | undefined {
  if (bytes.length < FIXED_BYTES) return undefined;
  if (bytes[0] !== 0x6c) throw new TandemError("unavailable", "D-Bus: the peer has another byte order");
  const bodyLength = bytes.readUInt32LE(4);
  const headerLength = FIXED_BYTES + bytes.readUInt32LE(12);
  const bodyStart = headerLength + padding(headerLength);
  const length = bodyStart + bodyLength;
  if (length > MAX_MESSAGE_BYTES) throw new TandemError("unavailable", `D-Bus: a message of ${length} bytes`);
  if (bytes.length < length) return undefined;
  const [, type, , , , serial, present] = unmarshal(headerSignature, bytes.subarray(0, headerLength));
  const found = Object.fromEntries((present as readonly HeaderField[]).flatMap(named));
  const signature = typeof found["signature"] === "string" ? found["signature"] : "";
  const body = unmarshal(signature, bytes.subarray(bodyStart, length));
  return { message: { ...found, type: Number(type), serial: Number(serial), body }, length };
}

type HeaderField = readonly [number, { readonly signature: string; readonly value: DbusValue }];

/** Unknown fields are to be ignored, and one of another type than the specification's is unknown. */
function named([code, { signature, value }]: HeaderField): [string, DbusValue][] {
  const entry = Object.entries(fields).find(([, field]) => field[0] === code && field[1] === signature);
  return entry === undefined ? [] : [[entry[0], value]];
}

function padding(length: number): number {
  return -length & 7;
}
