import type { Result } from "../wasi/p2/result.ts";

/** The variants `method` and `scheme` of wasi:http/types: a known one has no value, `other` has its name. */
export interface Variant {
  readonly tag: string;
  readonly val?: string;
}

const knownMethods: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "DELETE",
  "CONNECT",
  "OPTIONS",
  "TRACE",
  "PATCH",
]);

/** RFC 9110 §5.6.2 */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function isToken(text: string): boolean {
  return token.test(text);
}

/** A method by its name on the wire; `other("GET")` is `get`. */
export function methodVariant(name: string): Variant {
  return knownMethods.has(name) ? { tag: name.toLowerCase() } : { tag: "other", val: name };
}

/** The variant in its one form; undefined when the name of `other` is no token. */
export function checkMethod(method: Variant): Variant | undefined {
  if (method.tag !== "other") return method;
  const name = method.val ?? "";
  return token.test(name) ? methodVariant(name) : undefined;
}

/** As it is written in a request line. */
export function methodName(method: Variant): string {
  return method.tag === "other" ? (method.val ?? "") : method.tag.toUpperCase();
}

/** The variant in its one form: `other("https")` is `HTTPS`; undefined when it is no scheme (RFC 3986 §3.1). */
export function checkScheme(scheme: Variant): Variant | undefined {
  if (scheme.tag !== "other") return scheme;
  const name = scheme.val ?? "";
  if (!/^[A-Za-z][A-Za-z0-9+.-]*$/.test(name)) return undefined;
  const known = name.toUpperCase();
  return known === "HTTP" || known === "HTTPS" ? { tag: known } : scheme;
}

/**
 * Whether a request line can hold this path and query: nothing that would end it, and no fragment, which would not be sent.
 * Beyond that it is the server's to judge; raw UTF-8 is common.
 */
export function isPathWithQuery(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not get into a request line
  return !/[\u0000-\u0020"#<>`\u007f]/.test(path);
}

/** RFC 3986 §3.2: user information, a name, an IPv4 address or an IP literal, and a port. */
const authorityForm =
  /^(?:(?:[\w.~!$&'()*+,;=:-]|%[0-9a-f]{2})*@)?(\[[0-9a-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})+)(?::(\d{0,5}))?$/i;

export function isAuthority(authority: string): boolean {
  const port = authorityForm.exec(authority)?.[2];
  return authorityForm.test(authority) && (port === undefined || Number(port) <= 65_535);
}

/** A number of bytes from `content-length`: undefined when there is none, an error when it is not one number (RFC 9110 §8.6). */
export function contentLength(values: readonly Uint8Array[]): Result<number | undefined, undefined> {
  const [first, ...others] = values.map((value) => Buffer.from(value).toString("latin1"));
  if (first === undefined) return { tag: "ok", val: undefined };
  if (!/^\d{1,15}$/.test(first) || others.some((other) => other !== first))
    return { tag: "err", val: undefined };
  return { tag: "ok", val: Number(first) };
}
