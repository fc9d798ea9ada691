/**
 * Lists every property of config.json for Linux, one path a line, from the JSON schema of the OCI runtime spec:
 *
 *     node scripts/list-oci-properties.ts <schema directory> > docs/conformance/oci-1.3-properties.txt
 *
 * The schema is in `schema/` of github.com/opencontainers/runtime-spec at the tag of that version. `[]` is any element of a list,
 * `{}` any key of a map. A property whose parts are listed has no line of its own.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
}

/** Of another platform each: one line for all that is in it. */
const otherPlatforms = new Set(["solaris", "windows", "vm", "zos", "freebsd"]);

const directory = process.argv[2] ?? "schema";

function resolve(reference: string, file: string): { schema: Schema; file: string } {
  const [path = "", pointer = ""] = reference.split("#");
  const target = path === "" ? file : path;
  let node: unknown = JSON.parse(readFileSync(join(directory, target), "utf8"));
  for (const key of pointer.split("/").filter((part) => part !== "")) {
    node = Reflect.get(node as object, key);
  }
  return { schema: node as Schema, file: target };
}

function leaves(schema: Schema, file: string, path: string): string[] {
  if (schema.$ref !== undefined) {
    const target = resolve(schema.$ref, file);
    return leaves(target.schema, target.file, path);
  }
  const below: string[] = [];
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const at = path === "" ? name : `${path}.${name}`;
    below.push(...(otherPlatforms.has(at) ? [at] : leaves(property, file, at)));
  }
  const anyKey = schema.additionalProperties ?? Object.values(schema.patternProperties ?? {})[0];
  if (typeof anyKey === "object") below.push(...leaves(anyKey, file, `${path}{}`));
  if (schema.items !== undefined) below.push(...leaves(schema.items, file, `${path}[]`));
  for (const part of [...(schema.allOf ?? []), ...(schema.anyOf ?? [])]) {
    below.push(...leaves(part, file, path).filter((leaf) => leaf !== path));
  }
  return below.length > 0 ? below : [path];
}

const paths = leaves({ $ref: "config-schema.json#" }, "config-schema.json", "");
process.stdout.write(`${[...new Set(paths)].sort().join("\n")}\n`);
