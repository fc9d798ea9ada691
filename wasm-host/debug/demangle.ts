/**
 * A function's name as its author wrote it, where that is cheap: paths of C++ and of Rust's older scheme (`_ZN…E`, `_Z…`), without Rust's hash.
 * Linkers have demangled most names already; whatever else is mangled stays as it is.
 */
export function demangle(name: string): string {
  return withoutHash(readPath(name) ?? name);
}

function withoutHash(name: string): string {
  return name.replace(/::h[0-9a-f]{16}$/, "");
}

/** The parts of `_ZN` (a length and as many characters each) and what follows `E`; undefined for anything more complicated. */
function readPath(name: string): string | undefined {
  const [start, nested] = /^_Z(N[rVK]*)?/.exec(name) ?? [];
  if (start === undefined) return undefined;
  const parts: string[] = [];
  let at = start.length;
  do {
    const digits = /^[1-9]\d{0,3}/.exec(name.slice(at, at + 4))?.[0];
    if (digits === undefined) return undefined;
    const begin = at + digits.length;
    at = begin + Number(digits);
    if (at > name.length || (nested !== undefined && at === name.length)) return undefined;
    parts.push(unescapeRust(name.slice(begin, at)));
  } while (nested !== undefined && name[at] !== "E");
  return parts.join("::");
}

/** What Rust writes for characters that a symbol cannot have. */
const escapes: Readonly<Record<string, string>> = {
  SP: "@",
  BP: "*",
  RF: "&",
  LT: "<",
  GT: ">",
  LP: "(",
  RP: ")",
  C: ",",
};

function unescapeRust(part: string): string {
  return part
    .replace(/^_(?=\$)/, "")
    .replace(/\$(?:(\w{1,2})|u([0-9a-f]{1,6}))\$/g, (whole, short: string | undefined, code?: string) => {
      if (short !== undefined && Object.hasOwn(escapes, short)) return escapes[short] ?? whole;
      const point = Number.parseInt(code ?? short?.slice(1) ?? "", 16);
      return point >= 0x20 && point <= 0x10_ffff ? String.fromCodePoint(point) : whole;
    })
    .replaceAll("..", "::");
}
