/** Bytes of HTTP/1.1 (RFC 9110 §5, RFC 9112). */
export const CR = 0x0d;
export const LF = 0x0a;
export const SPACE = 0x20;
export const TAB = 0x09;
export const COLON = 0x3a;

const token = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  token[char.charCodeAt(0)] = 1;

/** `tchar` */
export function isTokenByte(byte: number): boolean {
  return token[byte] === 1;
}

/** What a field value is made of: visible characters, bytes above 127, spaces and tabs. */
export function isValueByte(byte: number): boolean {
  return (byte >= SPACE && byte !== 0x7f) || byte === TAB;
}

export function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}
