import type { Rule } from "../../scripts/list-oci-properties.ts";
import { rules } from "./rules.ts";

type Json = Record<string, unknown>;

/** One value of a config.json, by the keys that lead to it. */
export interface Place {
  readonly rule: Rule;
  readonly keys: readonly string[];
  /** As an error names it: `linux.devices[0].major`, `linux.sysctl.net.ipv4.ip_forward`. */
  readonly name: string;
  readonly value: unknown;
}

/** A change of one value. What it becomes is JSON as text, so that it can be what no value of JavaScript's is. */
export interface Mutation {
  readonly name: string;
  /** undefined: the property goes. */
  readonly text: string | undefined;
}

/** Where in a spec each property of the schema is, its first occurrence. Those that the spec does not have are left out. */
export function placesOf(spec: Json): Place[] {
  return rules.flatMap((rule) => {
    let value: unknown = spec;
    const keys: string[] = [];
    let name = "";
    for (const part of rule.path.split(/\.|(?=\[\]|\{\})/).filter((one) => one !== "")) {
      if (typeof value !== "object" || value === null) return [];
      const key = part === "[]" || part === "{}" ? firstKey(value, rule.path) : part;
      if (key === undefined || !Object.hasOwn(value, key)) return [];
      name = part === "[]" ? `${name}[${key}]` : name === "" ? key : `${name}.${key}`;
      keys.push(key);
      value = Reflect.get(value, key);
    }
    return [{ rule, keys, name, value }];
  });
}

/** The first element that has what the path goes on to name. */
function firstKey(holder: object, path: string): string | undefined {
  const leaf = /\.(\w+)$/.exec(path)?.[1];
  const keys = Object.keys(holder);
  const has = (key: string): boolean => {
    const element: unknown = Reflect.get(holder, key);
    return typeof element === "object" && element !== null && leaf !== undefined && leaf in element;
  };
  return keys.find(has) ?? keys[0];
}

const mark = "\u{10ffff}mark";

/** The text of a config.json with these places changed. */
export function mutate(
  spec: Json,
  changes: readonly { readonly place: Place; readonly mutation: Mutation }[],
): string {
  const copy = { ...spec };
  const texts: string[] = [];
  for (const { place, mutation } of changes) {
    const holder = ownHolder(copy, place.keys);
    const key = place.keys.at(-1) ?? "";
    // The change before may have taken the holder away.
    if (holder === undefined) continue;
    if (mutation.text === undefined) delete holder[key];
    else holder[key] = mark + (texts.push(mutation.text) - 1);
  }
  return JSON.stringify(copy).replace(
    new RegExp(`"${mark}(\\d+)"`, "gu"),
    (_, index) => texts[Number(index)] ?? "",
  );
}

/** What holds the last of these keys; everything on the way to it is copied. */
function ownHolder(spec: Json, keys: readonly string[]): Json | undefined {
  let holder = spec;
  for (const key of keys.slice(0, -1)) {
    const next: unknown = Object.hasOwn(holder, key) ? holder[key] : undefined;
    if (typeof next !== "object" || next === null) return undefined;
    const own = (Array.isArray(next) ? [...next] : { ...next }) as Json;
    holder[key] = own;
    holder = own;
  }
  return holder;
}

const deep = 20_000;
const long = 140_000;

/** Values that are of the wrong type nearly everywhere, and of the right one somewhere. */
const strangers = [
  ...["null", "true", "false", "0", "-0", "1", "-1", "1.5", "1e400", "-1e400", "2147483648", "4294967296"],
  ...["9007199254740993", "18446744073709551615", "36893488147419103232", "-36893488147419103232", "1e308"],
  ...["[]", "{}", "[[]]", "[null]", "[{}]", "[0]", '[""]', '{"":{}}', '{"":null}', '{"__proto__":{"x":1}}'],
];

const strings = [
  ...[
    "",
    " ",
    "\0",
    "a\0b",
    "\n",
    "a\nb",
    "..",
    "../..",
    "/..",
    "/../../etc/x",
    ".",
    "/",
    "//",
    "relative/path",
  ],
  ...[
    "NaN",
    "Infinity",
    "-1",
    "0",
    "0x10",
    "%n%s%n",
    "😀ü",
    "\u202e",
    "constructor",
    "__proto__",
    "toString",
  ],
  ...["/dev/null", "/proc/self/fd/0", "=", "NAME", "a,b", "a:b", 'a"b', "$HOME", "self"],
].map((text) => JSON.stringify(text));

const tooLong: Mutation[] = [
  { name: "a string of 140 KB", text: JSON.stringify("x".repeat(long)) },
  { name: "a path of 140 KB", text: JSON.stringify(`/${"x/".repeat(long / 2)}`) },
  { name: "a path of 2000 directories", text: JSON.stringify(`/${"x/".repeat(2000)}`) },
  { name: "half a surrogate pair", text: '"\\ud800"' },
  { name: "a list of lists of lists", text: "[".repeat(deep) + "]".repeat(deep) },
  { name: "an object of objects of objects", text: `${'{"a":'.repeat(deep)}1${"}".repeat(deep)}` },
  { name: "a number of many digits", text: "9".repeat(400) },
];

const everywhere: readonly Mutation[] = [
  { name: "nothing", text: undefined },
  ...[...strangers, ...strings].map((text) => ({ name: text, text })),
  ...tooLong,
];

/** Every change that is tried on a place. */
export function mutationsOf({ rule, value }: Place): Mutation[] {
  return [...everywhere, ...boundsOf(rule), ...choicesOf(rule), ...listsOf(value), ...objectsOf(value)];
}

function boundsOf({ minimum, maximum }: Rule): Mutation[] {
  const texts = [minimum, maximum].flatMap((bound) => {
    if (bound === undefined) return [];
    const exact = BigInt(bound);
    return [exact, exact - 1n, exact + 1n].map(String);
  });
  return texts.map((text) => ({ name: `the bound ${text}`, text }));
}

function choicesOf({ enum: choices = [] }: Rule): Mutation[] {
  return choices.flatMap((choice) =>
    [choice, choice.toLowerCase(), `${choice} `, `${choice}X`].map((text) => ({
      name: text,
      text: JSON.stringify(text),
    })),
  );
}

function listsOf(value: unknown): Mutation[] {
  if (!Array.isArray(value)) return [];
  const times = (count: number): Mutation => ({
    name: `its elements ${count} times`,
    text: JSON.stringify(Array.from({ length: count }, () => value).flat()),
  });
  return [
    times(2),
    times(1000),
    { name: "null behind its elements", text: JSON.stringify([...value, null]) },
    { name: "its elements backwards", text: JSON.stringify(value.toReversed()) },
  ];
}

function objectsOf(value: unknown): Mutation[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  const inside = JSON.stringify(value).slice(1, -1);
  const entries = Object.entries(value);
  return [
    {
      name: "a key that nobody knows beside it",
      text: `{${inside}${inside === "" ? "" : ","}"acme.dev/x":[1]}`,
    },
    {
      name: "__proto__ beside it",
      text: `{"__proto__":{"polluted":true}${inside === "" ? "" : ","}${inside}}`,
    },
    ...entries.map(([key, part]) => {
      const twice = `${JSON.stringify(key)}:${JSON.stringify(part)}`;
      return { name: `${key} twice`, text: `{${inside},${twice}}` };
    }),
  ];
}
