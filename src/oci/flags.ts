import { TandemError } from "../errors.ts";

/** One option of a command. `value` names its argument in the help; without one it is a switch. */
export interface Flag {
  readonly help: string;
  readonly value?: string;
  readonly short?: string;
  /** It may be given several times. */
  readonly many?: boolean;
  /** Its value may follow the one letter at once: -Wx. */
  readonly attached?: boolean;
}

export type Flags = Readonly<Record<string, Flag>>;

/** What was given on a command line. */
export class Given {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  /** What is no option. */
  readonly operands: readonly string[];

  constructor(values: ReadonlyMap<string, readonly string[]>, operands: readonly string[]) {
    this.#values = values;
    this.operands = operands;
  }

  withOperands(operands: readonly string[]): Given {
    return new Given(this.#values, operands);
  }

  has(name: string): boolean {
    return this.#values.get(name)?.at(-1) === "true";
  }

  /** The last one given; undefined without. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** @throws TandemError invalid_argument for anything but digits */
  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!/^-?\d+$/.test(text)) throw new TandemError("invalid_argument", `--${name} ${text}: is no number`);
    return Number(text);
  }
}

/**
 * Reads options as runc's command line has them: `--name value`, `--name=value`, `-n value`, and with one dash where Go
 * programs take it.
 *
 * @param inOrder the first operand ends the options: what follows is another program's command line
 * @returns what was given, and how many arguments were read (all of them unless `inOrder`)
 * @throws TandemError invalid_argument naming the option
 */
export function parseFlags(
  flags: Flags,
  args: readonly string[],
  inOrder: boolean,
): { given: Given; read: number } {
  const values = new Map<string, string[]>();
  const operands: string[] = [];
  let at = 0;
  while (at < args.length) {
    const arg = args[at] ?? "";
    if (arg === "--") {
      operands.push(...args.slice(at + 1));
      at = args.length;
    } else if (!arg.startsWith("-") || arg === "-") {
      if (inOrder) break;
      operands.push(arg);
      at++;
    } else {
      at = readOption(flags, args, at, values);
    }
  }
  return { given: new Given(values, operands), read: at };
}

/** Returns the index behind the option. */
function readOption(
  flags: Flags,
  args: readonly string[],
  at: number,
  values: Map<string, string[]>,
): number {
  const arg = args[at] ?? "";
  const equals = arg.indexOf("=");
  const written = (equals < 0 ? arg : arg.slice(0, equals)).replace(/^--?/, "");
  const attached = equals < 0 ? undefined : arg.slice(equals + 1);
  const name = nameOf(flags, written);
  if (name === undefined) return readLetters(flags, args, at, values);
  const add = (value: string): void => {
    const known = values.get(name) ?? [];
    known.push(value);
    values.set(name, known);
  };
  if (flags[name]?.value === undefined) {
    if (attached !== undefined && attached !== "true" && attached !== "false")
      throw new TandemError("invalid_argument", `option ${arg}: is true or false`);
    add(attached ?? "true");
    return at + 1;
  }
  const value = attached ?? args[at + 1];
  if (value === undefined) throw new TandemError("invalid_argument", `option --${name}: needs a value`);
  add(value);
  return attached === undefined ? at + 2 : at + 1;
}

/** "-it": switches of one letter, written together; "-Wx": one letter and its value. */
function readLetters(
  flags: Flags,
  args: readonly string[],
  at: number,
  values: Map<string, string[]>,
): number {
  const arg = args[at] ?? "";
  const names = [...arg.slice(1)].map((letter) => nameOf(flags, letter));
  const [first] = names;
  if (first !== undefined && flags[first]?.attached === true && !arg.startsWith("--")) {
    values.set(first, [...(values.get(first) ?? []), arg.slice(2)]);
    return at + 1;
  }
  if (arg.startsWith("--") || names.some((name) => name === undefined || flags[name]?.value !== undefined))
    throw new TandemError("invalid_argument", `unknown option ${arg}`);
  for (const name of names) if (name !== undefined) values.set(name, ["true"]);
  return at + 1;
}

function nameOf(flags: Flags, written: string): string | undefined {
  if (Object.hasOwn(flags, written)) return written;
  return Object.keys(flags).find((name) => flags[name]?.short === written);
}
