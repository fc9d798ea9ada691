import { TandemError } from "../../errors.ts";
import { parseGvariant } from "./dbus/gvariant.ts";
import type { UnitProperty } from "./manager.ts";

export const PROPERTY_ANNOTATION = "org.systemd.property.";

/**
 * Properties of the scope that annotations ask for, as runc and crun have them: `org.systemd.property.TimeoutStopUSec: uint64 5`. One
 * that ends in `Sec` is in seconds, which systemd's API does not know.
 *
 * @throws TandemError invalid_argument naming the annotation
 */
export function annotatedProperties(annotations: Readonly<Record<string, string>>): readonly UnitProperty[] {
  return Object.entries(annotations).flatMap(([key, text]): UnitProperty[] => {
    if (!key.startsWith(PROPERTY_ANNOTATION)) return [];
    const name = key.slice(PROPERTY_ANNOTATION.length);
    const fail = (reason: string): never => {
      throw new TandemError("invalid_argument", `annotation ${key}: ${reason}`);
    };
    if (!/^[A-Z][A-Za-z]{2,}$/.test(name)) fail("not a name of a property");
    const parsed = (() => {
      try {
        return parseGvariant(text);
      } catch (error) {
        throw TandemError.from(error, `annotation ${key}`);
      }
    })();
    if (!name.endsWith("Sec") || name.endsWith("USec")) return [[name, parsed]];
    const seconds = parsed.value;
    if ((typeof seconds !== "number" && typeof seconds !== "bigint") || seconds < 0)
      return fail("not a number of seconds");
    return [
      [
        name.replace(/Sec$/, "USec"),
        { signature: "t", value: BigInt.asUintN(64, BigInt(seconds) * 1_000_000n) },
      ],
    ];
  });
}
