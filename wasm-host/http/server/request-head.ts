import { isAuthority } from "../syntax.ts";
import { CR, isTokenByte, LF, SPACE } from "./bytes.ts";
import { FieldSection } from "./field-section.ts";
import { Refusal } from "./refusal.ts";

/** How much of a body follows a head. */
export type Framing = { readonly length: number } | "chunked";

/** What a request says before its body, whatever the version of HTTP. */
export interface RequestHead {
  readonly method: string;
  /** Path and query; `*` of an OPTIONS. */
  readonly path: string;
  readonly authority: string | undefined;
  /** Names and values in turn, as Latin-1. */
  rawHeaders(): readonly string[];
}

/** The head of a request of HTTP/1.1 or 1.0. */
export interface Head1 extends RequestHead {
  /** 1 for HTTP/1.1, 0 for HTTP/1.0. */
  readonly minor: number;
  readonly framing: Framing;
  /** Whether the client wants to go on with the connection. */
  readonly keepAlive: boolean;
  /** Whether the client waits with the body until it is told to go on. */
  readonly expectsContinue: boolean;
  /** What goes with `Upgrade: h2c`: the client's settings, in base64url. */
  readonly upgradeSettings: string | undefined;
}

const maxTarget = 16 * 1024;

/**
 * Reads a whole head, `bytes` from `start` to its empty line at `end`. It is strict: what two servers could understand in two ways is
 * refused, because the difference is what request smuggling lives from (RFC 9112 §11.2).
 *
 * @throws Refusal with the status of the answer
 */
export function parseRequestHead(bytes: Buffer, end: number, maxFields: number): Head1 {
  let start = 0;
  while (bytes[start] === CR && bytes[start + 1] === LF) start += 2;
  const { method, target, minor, next } = parseRequestLine(bytes, start);
  const fields = FieldSection.parse(bytes, { start: next, end: end - 2 }, maxFields);
  const control = readControl(fields, minor);
  const place = readTarget(method, target);
  const authority = place.authority ?? control.host;
  return {
    method,
    path: place.path,
    authority,
    minor,
    framing: control.framing,
    keepAlive:
      minor === 1 ? !control.connection.includes("close") : control.connection.includes("keep-alive"),
    expectsContinue: control.expectsContinue && minor === 1,
    upgradeSettings: upgradeSettings(control),
    rawHeaders: () => fields.toRaw(),
  };
}

interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly minor: number;
  /** Where the line after it begins. */
  readonly next: number;
}

function parseRequestLine(bytes: Buffer, start: number): RequestLine {
  let at = start;
  while (isTokenByte(bytes[at] ?? 0)) at++;
  if (at === start || bytes[at] !== SPACE) throw new Refusal(400, "malformed request line");
  const method = methodText(bytes, start, at);
  const targetStart = ++at;
  // No control characters, no spaces. What is not ASCII is passed on as it came: clients send it.
  let allBits = 0;
  for (let byte = bytes[at] ?? 0; byte > SPACE && byte !== 0x7f; byte = bytes[++at] ?? 0) allBits |= byte;
  if (at === targetStart || bytes[at] !== SPACE) throw new Refusal(400, "malformed request line");
  if (at - targetStart > maxTarget) throw new Refusal(414, "request target too long");
  const target =
    allBits < 0x80 ? bytes.toString("latin1", targetStart, at) : utf8Text(bytes.subarray(targetStart, at));
  const minor = readVersion(bytes, at + 1);
  return { method, target, minor, next: at + 11 };
}

function methodText(bytes: Buffer, start: number, end: number): string {
  if (end - start === 3 && bytes[start] === 0x47 && bytes[start + 1] === 0x45 && bytes[start + 2] === 0x54)
    return "GET";
  return bytes.toString("latin1", start, end);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** RFC 3986 has nothing but ASCII; UTF-8 is what others send. */
function utf8Text(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Refusal(400, "a request target that is no text");
  }
}

const version = Buffer.from("HTTP/1.");

/** `HTTP/1.1` or `HTTP/1.0`, and the end of the line. */
function readVersion(bytes: Buffer, at: number): number {
  for (let index = 0; index < version.length; index++) {
    if (bytes[at + index] === version[index]) continue;
    const other = /^HTTP\/\d\.\d\r\n/.test(bytes.toString("latin1", at, at + 10));
    throw other ? new Refusal(505, "HTTP version not supported") : new Refusal(400, "malformed request line");
  }
  const minor = (bytes[at + 7] ?? 0) - 0x30;
  if ((minor !== 0 && minor !== 1) || bytes[at + 8] !== CR || bytes[at + 9] !== LF)
    throw new Refusal(400, "malformed request line");
  return minor;
}

interface Control {
  readonly host: string | undefined;
  readonly framing: Framing;
  readonly connection: readonly string[];
  readonly expectsContinue: boolean;
  readonly upgrade: string | undefined;
  readonly settings: string | undefined;
}

/** The fields that are about the connection and the body. */
function readControl(fields: FieldSection, minor: number): Control {
  let host: string | undefined;
  let length: string | undefined;
  let coding: string | undefined;
  let connection: readonly string[] = [];
  let expect: string | undefined;
  let upgrade: string | undefined;
  let settings: string | undefined;
  for (let index = 0; index < fields.count; index++) {
    // By length first: most fields are none of these.
    switch (fields.lengthOfName(index)) {
      case 4:
        host = single(host, fields.valueAt(index, "host"), "Host");
        break;
      case 6:
        expect = single(expect, fields.valueAt(index, "expect"), "Expect");
        break;
      case 7:
        upgrade = fields.valueAt(index, "upgrade") ?? upgrade;
        break;
      case 10:
        connection = [...connection, ...listOf(fields.valueAt(index, "connection"))];
        break;
      case 14:
        length = single(length, fields.valueAt(index, "content-length"), "Content-Length");
        settings = single(settings, fields.valueAt(index, "http2-settings"), "HTTP2-Settings");
        break;
      case 17:
        coding = single(coding, fields.valueAt(index, "transfer-encoding"), "Transfer-Encoding");
    }
  }
  if (host === undefined ? minor === 1 : host !== "" && !isAuthority(host))
    throw new Refusal(400, "malformed Host");
  const framing = readFraming(length, coding, minor);
  if (expect !== undefined && expect.toLowerCase() !== "100-continue")
    throw new Refusal(417, "unknown expectation");
  return {
    host,
    framing,
    connection,
    expectsContinue: expect !== undefined && framing !== noBody,
    upgrade,
    settings,
  };
}

/** A field that may be there once. */
function single(known: string | undefined, value: string | undefined, name: string): string | undefined {
  if (value === undefined) return known;
  if (known !== undefined) throw new Refusal(400, `more than one ${name}`);
  return value;
}

function listOf(value: string | undefined): string[] {
  return value === undefined ? [] : value.split(",").map((item) => item.trim().toLowerCase());
}

const noBody: Framing = { length: 0 };

/** RFC 9112 §6.3 */
function readFraming(length: string | undefined, coding: string | undefined, minor: number): Framing {
  if (coding !== undefined) {
    if (length !== undefined) throw new Refusal(400, "both Transfer-Encoding and Content-Length");
    if (minor === 0) throw new Refusal(400, "Transfer-Encoding in HTTP/1.0");
    if (coding.toLowerCase() !== "chunked") throw new Refusal(501, "unknown transfer coding");
    return "chunked";
  }
  if (length === undefined) return noBody;
  if (!/^\d{1,15}$/.test(length)) throw new Refusal(400, "malformed Content-Length");
  return length === "0" ? noBody : { length: Number(length) };
}

/** RFC 9112 §3.2 */
function readTarget(
  method: string,
  target: string,
): { readonly path: string; readonly authority: string | undefined } {
  if (method === "CONNECT") throw new Refusal(501, "no tunnels here");
  if (target.startsWith("/")) return { path: target, authority: undefined };
  if (target === "*" && method === "OPTIONS") return { path: target, authority: undefined };
  const [, authority = "", path = ""] = /^https?:\/\/([^/?#]*)([^#]*)$/i.exec(target) ?? [];
  if (!isAuthority(authority)) throw new Refusal(400, "malformed request target");
  return { path: path.startsWith("/") ? path : `/${path}`, authority };
}

/** Prior knowledge is better, and what RFC 9113 has left: but curl and proxies still ask for it. */
function upgradeSettings({ upgrade, settings, connection, framing }: Control): string | undefined {
  const asked = upgrade !== undefined && listOf(upgrade).includes("h2c");
  const named = connection.includes("upgrade") && connection.includes("http2-settings");
  return asked && named && framing === noBody ? settings : undefined;
}
