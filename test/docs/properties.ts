type Json = Record<string, unknown>;

/** The parts of a path of docs/conformance/oci-1.3-properties.txt: `a.b[].c{}` ↦ a, b, [], c, {}. */
function partsOf(path: string): string[] {
  return path.split(/\.|(?=\[\]|\{\})/).filter((part) => part !== "");
}

/** Calls `change` with the holder and key of each value that the path names. */
function visit(node: unknown, parts: readonly string[], change: (holder: Json, key: string) => void): void {
  const [part, ...rest] = parts;
  if (part === undefined || typeof node !== "object" || node === null) return;
  const holder = node as Json;
  const keys = part === "[]" || part === "{}" ? Object.keys(holder) : [part];
  for (const key of keys) {
    if (rest.length === 0) change(holder, key);
    else visit(holder[key], rest, change);
  }
}

/** A copy in which the values of a path are others of their kind. Returns undefined when the spec has none. */
export function withOther(spec: Json, path: string): Json | undefined {
  const copy = structuredClone(spec);
  let changed = false;
  visit(copy, partsOf(path), (holder, key) => {
    const value = holder[key];
    if (value === undefined) return;
    changed = true;
    holder[key] = other(value);
  });
  return changed ? copy : undefined;
}

function other(value: unknown): unknown {
  if (typeof value === "number") return value + 1;
  if (typeof value === "boolean") return !value;
  if (typeof value === "string") return `${value}x`;
  throw new Error(`no other value for ${JSON.stringify(value)}`);
}

/** A copy with this value; holders that are not there are made. A trailing `[]` means the list itself. */
export function withValue(spec: Json, path: string, value: unknown): Json {
  const copy = structuredClone(spec);
  let holder: Json = copy;
  const keys = partsOf(path.replace(/\[\]$/, "")).map((part) => (part === "{}" ? "key" : part));
  for (const key of keys.slice(0, -1)) {
    holder[key] ??= {};
    holder = holder[key] as Json;
  }
  holder[keys.at(-1) ?? ""] = value;
  return copy;
}

/** `linux.devices` of `linux.devices[].major`: what is put in or taken out as a whole. */
export function wholeOf(path: string): string {
  const [first = "", second] = path.split(".");
  const name = (part: string): string => part.replace(/(\[\]|\{\})+$/, "");
  if (second === undefined || first.endsWith("[]")) return name(first);
  return `${first}.${name(second)}`;
}

export function valueAt(spec: Json, whole: string): unknown {
  return whole.split(".").reduce<unknown>((node, key) => (node as Json | undefined)?.[key], spec);
}

export function without(spec: Json, whole: string): Json {
  const copy = structuredClone(spec);
  visit(copy, whole.split("."), (holder, key) => delete holder[key]);
  return copy;
}
