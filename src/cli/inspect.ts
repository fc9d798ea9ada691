import { readFileSync, statSync } from "node:fs";
import type { Command } from "commander";
import { findWorld } from "../../wasm-host/world.ts";
import { readGrantFile } from "../bundle/grant-file.ts";
import { TandemError } from "../errors.ts";
import { type ExplainedGrant, renderGrant } from "../grant/explained-grant.ts";
import { type Need, needsOf } from "../grant/needs.ts";
import { readComponentInterfaces } from "../image/component-interfaces.ts";
import { type ModuleInterfaces, readModuleInterfaces } from "../image/module-interfaces.ts";
import { wasmForm } from "../image/wasm-form.ts";
import { type Bundle, findBundles } from "./bundles.ts";

/** `tandem inspect`: what a container was granted; what a file asks for. */
export function addInspect(program: Command): void {
  program
    .command("inspect")
    .description(
      "show the grant of a wasm container, or what a module or component imports, exports and could use",
    )
    .argument("<container or file>", "a container's id or the beginning of it, or a .wasm file")
    .option("--json", "as JSON")
    .action((name: string, options: { readonly json?: boolean }) => {
      const asJson = options.json === true;
      const text = isFile(name) ? inspectFile(name, asJson) : inspectContainer(name, asJson);
      process.stdout.write(text);
    });
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function inspectContainer(id: string, asJson: boolean): string {
  const bundle = findContainer(id);
  const text = readGrantFile(bundle.directory);
  if (text === undefined)
    throw new TandemError(
      "failed_precondition",
      `container ${bundle.id}: is no wasm container, it has no grant`,
    );
  const grant = JSON.parse(text) as ExplainedGrant;
  return asJson ? toJson(grant) : renderGrant(grant);
}

/** @throws TandemError not_found; invalid_argument when several begin like this */
function findContainer(id: string): Bundle {
  const found = findBundles();
  const own = found.filter((bundle) => bundle.id === id);
  const [first, second] = own.length > 0 ? own : found.filter((bundle) => bundle.id.startsWith(id));
  if (first === undefined)
    throw new TandemError("not_found", `${id}: neither a file nor a container of this node's`);
  if (second !== undefined)
    throw new TandemError(
      "invalid_argument",
      `container ${id}: there is ${first.id} in ${first.namespace}, and ${second.id} in ${second.namespace}`,
    );
  return first;
}

/** What a file says of itself. */
interface InspectedFile {
  readonly form: "module" | "component";
  /** What it is made for: `command`, `http`, or `reactor`, whose exports are to be named. */
  readonly world: string;
  readonly imports: readonly string[];
  readonly exports: readonly string[];
  readonly uses: readonly Need[];
}

function inspectFile(path: string, asJson: boolean): string {
  const inspected = readFile(path);
  return asJson ? toJson(inspected) : renderFile(inspected);
}

function readFile(path: string): InspectedFile {
  const bytes = readFileSync(path);
  const form = wasmForm(bytes);
  try {
    if (form === "component") {
      const { imports, exports } = readComponentInterfaces(bytes);
      const { world } = findWorld(exports);
      return { form, world, imports, exports, uses: needsOf(imports) };
    }
    if (form === "module") return ofModule(readModuleInterfaces(bytes));
  } catch (error) {
    throw TandemError.from(error, path);
  }
  throw new TandemError("invalid_argument", `${path}: neither a wasm module nor a component`);
}

function ofModule(module: ModuleInterfaces): InspectedFile {
  const imports = module.imports.map((one) => `${one.module}.${one.name}`);
  const isCommand = module.exports.some(({ name, kind }) => name === "_start" && kind === "function");
  return {
    form: "module",
    world: isCommand ? "command" : "reactor",
    imports,
    exports: module.exports.map(({ name, kind }) => (kind === "function" ? name : `${name} (${kind})`)),
    uses: needsOf(imports),
  };
}

function renderFile({ form, world, imports, exports, uses }: InspectedFile): string {
  const rows: (readonly [string, readonly string[]])[] = [
    ["form", [form]],
    ["world", [world]],
    ["imports", imports],
    ["exports", exports],
    ["could use", uses.map(({ part, options }) => `${part} (${options})`)],
  ];
  return rows
    .flatMap(([name, values]) =>
      (values.length === 0 ? ["nothing"] : values).map(
        (value, index) => `${(index === 0 ? name : "").padEnd(12)} ${value}\n`,
      ),
    )
    .join("");
}
