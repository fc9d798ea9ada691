import { TandemError } from "../../../errors.ts";

/** One complete type of a D-Bus signature: "s", or an array of what follows it, or a struct. */
export type DbusType =
  | { readonly code: BasicCode | "v" }
  | { readonly code: "a"; readonly of: DbusType }
  | { readonly code: "("; readonly fields: readonly DbusType[] };

/** dbus-specification "Basic types", without doubles and descriptors, which systemd's manager does not use. */
const basicCodes = ["y", "b", "n", "q", "i", "u", "x", "t", "s", "o", "g"] as const;
export type BasicCode = (typeof basicCodes)[number];

/**
 * The types that a signature lists, dbus-specification "Type System".
 *
 * @throws TandemError internal for what is no signature of these types.
 */
export function parseSignature(signature: string): readonly DbusType[] {
  const types: DbusType[] = [];
  for (let at = 0; at < signature.length; ) {
    const [type, next] = parseType(signature, at);
    types.push(type);
    at = next;
  }
  return types;
}

function parseType(signature: string, at: number): readonly [DbusType, number] {
  const code = signature[at];
  if (code === "a") {
    const [of, next] = parseType(signature, at + 1);
    return [{ code, of }, next];
  }
  // A dictionary entry is laid out as a struct of two.
  if (code === "(" || code === "{") {
    const fields: DbusType[] = [];
    const end = code === "(" ? ")" : "}";
    let next = at + 1;
    while (signature[next] !== end) {
      const [field, after] = parseType(signature, next);
      fields.push(field);
      next = after;
    }
    return [{ code: "(", fields }, next + 1];
  }
  const basic = basicCodes.find((known) => known === code) ?? (code === "v" ? code : undefined);
  if (basic === undefined)
    throw new TandemError(
      "internal",
      `D-Bus signature ${JSON.stringify(signature)}: not understood at ${at}`,
    );
  return [{ code: basic }, at + 1];
}

/** To which multiple of bytes a value of the type is padded, dbus-specification "Summary of D-Bus marshalling". */
export function alignmentOf({ code }: DbusType): number {
  switch (code) {
    case "x":
    case "t":
    case "(":
      return 8;
    case "b":
    case "i":
    case "u":
    case "s":
    case "o":
    case "a":
      return 4;
    case "n":
    case "q":
      return 2;
    default:
      return 1;
  }
}
