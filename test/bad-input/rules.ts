import { readFileSync } from "node:fs";
import type { Rule } from "../../scripts/list-oci-properties.ts";

/** What the OCI schema says of every property of config.json, holders before their parts. */
export const rules: readonly Rule[] = readFileSync(
  new URL("../../docs/conformance/oci-1.3-rules.jsonl", import.meta.url),
  "utf8",
)
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Rule);

const byPath = new Map(rules.map((rule) => [rule.path, rule]));

/** The rules of the named parts of each object, by its path; elements and entries ("[]", "{}") have no name. */
const parts = Map.groupBy(
  rules.filter(({ path }) => /\w$/.test(path)),
  ({ path }) => path.replace(/(^|\.)\w+$/, ""),
);

/**
 * What about a value is not as the schema wants it: the path of the first offence, or undefined. `null` counts as absent, as the
 * encoder of Go has it, and so do properties that the schema does not know.
 */
export function offence(value: unknown, path: string): string | undefined {
  const rule = byPath.get(path);
  if (rule === undefined && path !== "") return undefined;
  const { type } = rule ?? { type: "object" };
  if (!isOf(value, type)) return path;
  if (typeof value === "string") return rule !== undefined && isText(value, rule) ? undefined : path;
  if (typeof value === "number") return rule !== undefined && isWithin(value, rule) ? undefined : path;
  if (Array.isArray(value)) return offenceInList(value, path, Number(rule?.minItems ?? 0));
  return typeof value === "object" && value !== null ? offenceInObject(value, path) : undefined;
}

function isOf(value: unknown, type: Rule["type"]): boolean {
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return type === "integer" ? Number.isInteger(value) : typeof value === type;
}

function isText(value: string, rule: Rule): boolean {
  if (rule.pattern !== undefined && !new RegExp(rule.pattern).test(value)) return false;
  return rule.enum === undefined || rule.enum.includes(value);
}

function isWithin(value: number, { minimum, maximum }: Rule): boolean {
  return value >= Number(minimum ?? -Infinity) && value <= Number(maximum ?? Infinity);
}

function offenceInList(values: readonly unknown[], path: string, minItems: number): string | undefined {
  if (values.length < minItems) return path;
  for (const value of values) {
    const found = offence(value, `${path}[]`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function offenceInObject(value: object, path: string): string | undefined {
  for (const rule of parts.get(path) ?? []) {
    const name = rule.path.slice(path === "" ? 0 : path.length + 1);
    const part: unknown = Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
    const isAbsent = part === undefined || part === null;
    if (isAbsent && rule.required === true) return rule.path;
    const found = isAbsent ? undefined : offence(part, rule.path);
    if (found !== undefined) return found;
  }
  if (!byPath.has(`${path}{}`)) return undefined;
  for (const part of Object.values(value)) {
    const found = offence(part, `${path}{}`);
    if (found !== undefined) return found;
  }
  return undefined;
}
