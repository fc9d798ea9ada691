/**
 * What the JSON schema of the OCI runtime spec says of config.json for Linux, as two lists:
 *
 *     node scripts/list-oci-properties.ts <schema directory> > docs/conformance/oci-1.3-properties.txt
 *     node scripts/list-oci-properties.ts <schema directory> --rules > docs/conformance/oci-1.3-rules.jsonl
 *
 * The schema is in `schema/` of github.com/opencontainers/runtime-spec at the tag of that version. The first list has one path a
 * line: `[]` is any element of a list, `{}` any key of a map; a property whose parts are listed has no line of its own. The second
 * has a line for every property, those with parts too, and what may be in it. `test/docs/oci-rules.test.ts` compares both with the
 * schema where there is a Go to fetch it with.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What the schema says of one property. Bounds are digits: 2^64 - 1 is no number of JavaScript's. */
export interface Rule {
  readonly path: string;
  readonly type: "object" | "array" | "string" | "integer" | "boolean";
  /** Its holder is wrong without it. */
  readonly required?: true;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: string;
  readonly maximum?: string;
  readonly minItems?: string;
}

interface Schema {
  readonly $ref?: string;
  readonly type?: Rule["type"];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: string;
  readonly maximum?: string;
  readonly minItems?: string;
}

/** Of another platform each: one line for all that is in it. */
const otherPlatforms = new Set(["solaris", "windows", "vm", "zos", "freebsd"]);

/** Every property of config.json, holders before their parts, as the schema in `directory` has it. */
export function readRules(directory: string): Rule[] {
  const rules = new Map<string, Rule>();
  for (const rule of rulesOf(new SchemaFiles(directory), { $ref: "config-schema.json#" }, "", "", false)) {
    rules.set(rule.path, { ...rules.get(rule.path), ...rule });
  }
  rules.delete("");
  return [...rules.values()];
}

/** The paths of those that have no parts. */
export function leavesOf(rules: readonly Rule[]): string[] {
  const holders = new Set(rules.map(({ path }) => path.replace(/(\[\]|\{\}|\.?[^.[\]{}]+)$/, "")));
  return rules
    .map(({ path }) => path)
    .filter((path) => !holders.has(path))
    .sort();
}

class SchemaFiles {
  readonly #directory: string;
  readonly #files = new Map<string, unknown>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  resolve(reference: string, file: string): { readonly schema: Schema; readonly file: string } {
    const [path = "", pointer = ""] = reference.split("#");
    const target = path === "" ? file : path;
    let node = this.#read(target);
    for (const key of pointer.split("/").filter((part) => part !== ""))
      node = Reflect.get(node as object, key);
    return { schema: node as Schema, file: target };
  }

  #read(file: string): unknown {
    if (!this.#files.has(file)) {
      const text = readFileSync(join(this.#directory, file), "utf8");
      this.#files.set(
        file,
        JSON.parse(text, (_, value, context?: { source?: string }) => digits(value, context)),
      );
    }
    return this.#files.get(file);
  }
}

function digits(value: unknown, context: { source?: string } | undefined): unknown {
  return typeof value === "number" ? (context?.source ?? String(value)) : value;
}

function* rulesOf(
  files: SchemaFiles,
  schema: Schema,
  file: string,
  path: string,
  required: boolean,
): Generator<Rule> {
  if (schema.$ref !== undefined) {
    const target = files.resolve(schema.$ref, file);
    return yield* rulesOf(files, target.schema, target.file, path, required);
  }
  if (schema.type !== undefined) yield ruleOf({ ...schema, type: schema.type }, path, required);
  if (otherPlatforms.has(path)) return;
  const needed = new Set(schema.required ?? []);
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    yield* rulesOf(files, property, file, path === "" ? name : `${path}.${name}`, needed.has(name));
  }
  const anyKey = schema.additionalProperties ?? Object.values(schema.patternProperties ?? {})[0];
  if (typeof anyKey === "object") yield* rulesOf(files, anyKey, file, `${path}{}`, false);
  if (schema.items !== undefined) yield* rulesOf(files, schema.items, file, `${path}[]`, false);
  for (const part of [...(schema.allOf ?? []), ...(schema.anyOf ?? [])])
    yield* rulesOf(files, part, file, path, required);
}

function ruleOf(schema: Schema & Pick<Rule, "type">, path: string, required: boolean): Rule {
  const { type, pattern, minimum, maximum, minItems } = schema;
  return {
    path,
    type,
    ...(required ? { required } : {}),
    ...(schema.enum === undefined ? {} : { enum: schema.enum }),
    ...(pattern === undefined ? {} : { pattern }),
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
    ...(minItems === undefined ? {} : { minItems }),
  };
}

if (import.meta.main) {
  const rules = readRules(process.argv[2] ?? "schema");
  const lines = process.argv[3] === "--rules" ? rules.map((rule) => JSON.stringify(rule)) : leavesOf(rules);
  process.stdout.write(`${lines.join("\n")}\n`);
}
