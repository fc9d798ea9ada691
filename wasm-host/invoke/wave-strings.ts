import type { WaveText } from "./wave-text.ts";

const escapes: Readonly<Record<string, string>> = {
  "'": "'",
  '"': '"',
  "\\": "\\",
  t: "\t",
  n: "\n",
  r: "\r",
};

/** `'x'`, with the escapes of a string. */
export function readChar(text: WaveText): string {
  const char = text.attempt(() => {
    const token = text.match(/'(?:[^\\'\n]{1,2}|\\['"tnr\\]|\\u\{[0-9a-fA-F]{1,6}\})'/uy);
    const found = token === undefined ? undefined : unescapeText(token.slice(1, -1));
    return found !== undefined && [...found].length === 1 ? found : undefined;
  });
  if (char === undefined) throw text.unexpected("a char in single quotes");
  return char;
}

/** `"…"`, or lines between `"""`. */
export function readString(text: WaveText): string {
  if (text.sees('"""')) return readLines(text);
  const string = text.attempt(() => {
    const token = text.match(/"(?:[^\\"\n]|\\['"tnr\\]|\\u\{[0-9a-fA-F]{1,6}\})*"/y);
    return token === undefined ? undefined : unescapeText(token.slice(1, -1));
  });
  if (string === undefined) throw text.unexpected("a string in double quotes");
  return string;
}

/** The spaces before the last quotes are taken from each line; its first and its last line break are not the string's. */
function readLines(text: WaveText): string {
  const token = text.match(/"""\r?\n(?:(?!""")[^\\]|\\['"tnr\\]|\\u\{[0-9a-fA-F]{1,6}\})*"""/y);
  const lines = token?.slice(3, -3).split("\n").slice(1);
  const indent = lines?.pop();
  if (
    lines === undefined ||
    indent === undefined ||
    /[^ ]/.test(indent) ||
    !lines.every((line) => line.startsWith(indent))
  )
    throw text.unexpected('lines between """, as far to the right as the last of these');
  const string = unescapeText(lines.map((line) => line.slice(indent.length).replace(/\r$/, "")).join("\n"));
  if (string === undefined) throw text.unexpected("a string");
  return string;
}

/** undefined for the escape of what is no character. */
function unescapeText(quoted: string): string | undefined {
  let isGood = true;
  const plain = quoted.replace(
    /\\(?:u\{([0-9a-fA-F]+)\}|(.))/g,
    (_, code: string | undefined, short: string) => {
      const point = Number.parseInt(code ?? "", 16);
      if (code === undefined) return escapes[short] ?? short;
      if (point <= 0x10_ffff && (point < 0xd800 || point > 0xdfff)) return String.fromCodePoint(point);
      isGood = false;
      return "";
    },
  );
  return isGood ? plain : undefined;
}

/** As Rust's `escape_debug` has it, of which this is what can be told without tables of Unicode. */
export function escapeText(text: string): string {
  return text.replace(/[\\"'\t\r\n]|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cn}\p{Co}]|(?! )\p{Zs}/gu, (char) => {
    const short = Object.keys(escapes).find((key) => escapes[key] === char);
    return short === undefined ? `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}` : `\\${short}`;
  });
}
