import { TandemError } from "../../src/errors.ts";
import type { ComponentFunctions, FunctionSignature } from "../../src/wasm-binary/component/value-types.ts";
import { describeFunction } from "./describe-type.ts";
import { type FunctionName, findFunction, fullName } from "./find-function.ts";
import { printWave } from "./print-wave.ts";
import { WaveReader } from "./read-wave.ts";
import { WaveText } from "./wave-text.ts";
import { camelCase } from "./wit-names.ts";

/** Calls a function of an instance, and resolves with its result as a line of text; "" for none. */
export type ComponentCall = (instance: Readonly<Record<string, unknown>>) => Promise<string>;

/**
 * Reads a call of a component's export: `name(argument, …)`, or the name alone and each argument a word of its own, both in WAVE.
 *
 * @param functions what the component exports, if that could be read
 * @throws TandemError not_found when there is no such function, invalid_argument for arguments that it does not take,
 * unimplemented for types that have no text form
 */
export function prepareComponentCall(
  functions: ComponentFunctions | undefined,
  entry: string,
  words: readonly string[],
): ComponentCall {
  if (functions === undefined)
    throw new TandemError(
      "unimplemented",
      "the types of this component's exports cannot be read: none can be named",
    );
  const [wanted, written] = splitCall(entry);
  if (written !== undefined && words.length > 0)
    throw new TandemError(
      "invalid_argument",
      `export ${entry}: has its arguments already, and ${words.length} more were given`,
    );
  const found = findFunction(functions, wanted);
  const signature = functions.functions[fullName(found)];
  if (signature === undefined) throw new TandemError("internal", `export ${fullName(found)} vanished`);
  const texts = written === undefined ? words.map((word) => new WaveText(word)) : new WaveText(written);
  const args = new ArgumentReader(functions, fullName(found), signature).read(texts);
  return async (instance) => call({ functions, signature, target: findTarget(instance, found), args });
}

/** `f(1, 2)` into `f` and `1, 2`; the arguments are undefined without parentheses. */
function splitCall(entry: string): [name: string, args: string | undefined] {
  const open = entry.indexOf("(");
  if (open < 0) return [entry.trim(), undefined];
  const rest = entry.slice(open + 1).trimEnd();
  if (!rest.endsWith(")"))
    throw new TandemError("invalid_argument", `export ${entry}: has no ")" at its end`);
  return [entry.slice(0, open).trim(), rest.slice(0, -1)];
}

class ArgumentReader {
  readonly #functions: ComponentFunctions;
  readonly #name: string;
  readonly #signature: FunctionSignature;
  readonly #reader: WaveReader;

  constructor(functions: ComponentFunctions, name: string, signature: FunctionSignature) {
    this.#functions = functions;
    this.#name = name;
    this.#signature = signature;
    this.#reader = new WaveReader(functions.types);
  }

  /** From one text with commas, or from a text each. Options that are none may be left out at the end. */
  read(texts: WaveText | readonly WaveText[]): unknown[] {
    const { params } = this.#signature;
    const args: unknown[] = [];
    const together = texts instanceof WaveText ? texts : undefined;
    for (const [index, [, type]] of params.entries()) {
      const text = together ?? (texts as readonly WaveText[])[index];
      const isMissing = text === undefined || (together !== undefined && text.isAtEnd);
      if (isMissing && this.#reader.isOption(type)) args.push(this.#reader.read(new WaveText("none"), type));
      else if (isMissing) throw this.#wrongCount(args.length);
      else args.push(this.#readOne(text, index, { together: together !== undefined }));
    }
    if (together === undefined ? (texts as readonly WaveText[]).length > params.length : !together.isAtEnd)
      throw this.#wrongCount(undefined);
    return args;
  }

  #readOne(text: WaveText, index: number, { together }: { readonly together: boolean }): unknown {
    const { params } = this.#signature;
    const [param, type] = params[index] ?? ["", "error-context"];
    try {
      const value = this.#reader.read(text, type);
      if ((together && text.takes(",")) || text.isAtEnd) return value;
      throw text.unexpected(together && index < params.length - 1 ? '","' : "the end");
    } catch (error) {
      const { code, message } = TandemError.from(error);
      throw new TandemError(code, `export ${this.#name}: argument ${param}: ${message}`, { cause: error });
    }
  }

  #wrongCount(given: number | undefined): TandemError {
    const wanted = describeFunction(this.#functions.types, this.#name, this.#signature);
    const problem = given === undefined ? "too many arguments" : `${given} argument${given === 1 ? "" : "s"}`;
    return new TandemError("invalid_argument", `export ${wanted}: ${problem} given`);
  }
}

type Callable = (...args: readonly unknown[]) => unknown;

/** jco has an interface by its full name, and its functions by names in camel case. */
function findTarget(instance: Readonly<Record<string, unknown>>, { scope, name }: FunctionName): Callable {
  const holder = scope === undefined ? instance : instance[scope];
  const found: unknown =
    typeof holder === "object" && holder !== null ? Reflect.get(holder, camelCase(name)) : undefined;
  if (typeof found !== "function")
    throw new TandemError("internal", `export ${fullName({ scope, name })}: not in the glue`);
  return (...args) => Reflect.apply(found, holder, args) as unknown;
}

interface Call {
  readonly functions: ComponentFunctions;
  readonly signature: FunctionSignature;
  readonly target: Callable;
  readonly args: readonly unknown[];
}

async function call({ functions: { types }, signature: { result }, target, args }: Call): Promise<string> {
  const type = typeof result === "number" ? types[result] : undefined;
  if (type?.kind !== "result") {
    const value = await target(...args);
    return result === null ? "" : `${printWave(types, result, value)}\n`;
  }
  // Of a result the glue returns the one half, and throws the other.
  let value: unknown;
  try {
    value = { tag: "ok", val: await target(...args) };
  } catch (error) {
    if (error instanceof Error) throw error;
    value = { tag: "err", val: error };
  }
  return `${printWave(types, result, value)}\n`;
}
