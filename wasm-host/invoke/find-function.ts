import { TandemError } from "../../src/errors.ts";
import type { ComponentFunctions } from "../../src/wasm-binary/component/value-types.ts";

/** A function that a component exports, by itself or in an interface. */
export interface FunctionName {
  /** `ns:package/interface@version`; undefined for one of the component's own. */
  readonly scope: string | undefined;
  readonly name: string;
}

/** `scan`, `api#scan`, `acme:shop/api@1.0.0#scan`, and as wasmtime has it `acme:shop/api.scan@1.0.0`. */
const pattern = /^(?:(?:([^#@/]+)\/)?([\w-]+)(?:@([^#]+))?[#.])?([\w-]+)(?:@(.+))?$/;

/**
 * What is asked for by as much of its name as makes it the only one.
 * @throws TandemError not_found that names what there is
 */
export function findFunction({ functions }: ComponentFunctions, wanted: string): FunctionName {
  const [match, pkg, part, version, name, lastVersion] = pattern.exec(wanted) ?? [];
  const all = Object.keys(functions).map(splitName);
  const found = all.filter(
    (one) =>
      match !== undefined &&
      one.name === name &&
      isIn(one.scope, { pkg, part, version: version ?? lastVersion }),
  );
  // One of the component's own goes before those of its interfaces.
  const own = found.find(({ scope }) => scope === undefined);
  const [only, ...others] = own === undefined ? found : [own];
  if (only === undefined)
    throw new TandemError("not_found", `component has no export ${wanted}${whatThereIs(all)}`);
  if (others.length > 0)
    throw new TandemError(
      "not_found",
      `component has several exports ${wanted}: ${list(found)}; name one in full`,
    );
  return only;
}

interface Scope {
  readonly pkg: string | undefined;
  readonly part: string | undefined;
  readonly version: string | undefined;
}

function splitName(full: string): FunctionName {
  const at = full.lastIndexOf("#");
  return at < 0 ? { scope: undefined, name: full } : { scope: full.slice(0, at), name: full.slice(at + 1) };
}

function isIn(scope: string | undefined, { pkg, part, version }: Scope): boolean {
  if (part === undefined) return version === undefined;
  const [, ownPackage, ownPart, ownVersion] = /^(?:(.+)\/)?([^/@]+)(?:@(.+))?$/.exec(scope ?? "") ?? [];
  return (
    ownPart === part &&
    (pkg === undefined || pkg === ownPackage) &&
    (version === undefined || version === ownVersion)
  );
}

function whatThereIs(all: readonly FunctionName[]): string {
  return all.length === 0 ? "; it exports no function" : `; it has ${list(all)}`;
}

/** The end of a message that says what there is to be called; "" when that is not known. */
export function listFunctions(functions: ComponentFunctions | undefined): string {
  return functions === undefined ? "" : whatThereIs(Object.keys(functions.functions).map(splitName));
}

const MOST_NAMES = 20;

function list(names: readonly FunctionName[]): string {
  const shown = names.slice(0, MOST_NAMES).map(fullName);
  return shown.join(", ") + (names.length > MOST_NAMES ? ", …" : "");
}

/** As `findFunction` takes it, and as the component's functions are listed. */
export function fullName({ scope, name }: FunctionName): string {
  return scope === undefined ? name : `${scope}#${name}`;
}
