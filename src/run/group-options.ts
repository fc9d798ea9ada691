import { TandemError } from "../errors.ts";
import { readCount, readDuration, readSwitch } from "../grant/read-value.ts";

/**
 * The options of wasmtime's groups `-S` and `-W` (`wasmtime run -S help`), as far as they mean anything here. Each is `name`,
 * `name=value`, several with commas between them; a switch is y, yes, true, n, no or false, and y without a value.
 */
export type GroupOption =
  /** What the host does in any case: y is accepted, n refused. */
  | { readonly always: string }
  | { readonly kind: "switch" | "count" | "duration" | "text"; readonly help: string };

export type GroupOptions = Readonly<Record<string, GroupOption>>;

const implemented = { always: "it is part of the host" } as const;
const engine = { always: "the engine has it" } as const;

/** `-S`: WASI. */
export const wasiOptions = {
  cli: implemented,
  common: implemented,
  p3: implemented,
  preview0: implemented,
  preview2: implemented,
  threads: implemented,
  "cli-exit-with-code": implemented,
  "network-error-code": implemented,
  http: { kind: "switch", help: "outgoing HTTP requests, to every host" },
  "inherit-network": { kind: "switch", help: "sockets, to and from every address" },
  "allow-ip-name-lookup": {
    kind: "switch",
    help: "resolving every name; without it those that --allow names",
  },
  tcp: { kind: "switch", help: "tcp=n takes TCP away from what the network is granted for" },
  udp: { kind: "switch", help: "udp=n takes UDP away from it" },
  "inherit-env": { kind: "switch", help: "every variable of the caller's environment" },
  "inherit-stdin": { kind: "switch", help: "inherit-stdin=n: nothing to read" },
  "inherit-stdout": { kind: "switch", help: "inherit-stdout=n: what is written goes nowhere" },
  "inherit-stderr": { kind: "switch", help: "inherit-stderr=n: the same for stderr" },
  listenfd: { kind: "switch", help: "the listening sockets of socket activation (LISTEN_FDS)" },
  tcplisten: { kind: "text", help: "ADDRESS:PORT: as --listen" },
} as const satisfies GroupOptions;

/** `-W`: WebAssembly. */
export const wasmOptions = {
  "max-memory-size": { kind: "count", help: "bytes of all linear memories" },
  "max-table-elements": { kind: "count", help: "elements of all tables" },
  "max-instances": { kind: "count", help: "core module instances" },
  "max-wasm-stack": { kind: "count", help: "bytes of the call stack, in place of what ulimit -s leaves" },
  timeout: { kind: "duration", help: "how long it may run: 10, 10s, 500ms, …" },
  "bulk-memory": engine,
  "multi-memory": engine,
  "multi-value": engine,
  "reference-types": engine,
  simd: engine,
  "relaxed-simd": engine,
  "tail-call": engine,
  threads: engine,
  "shared-memory": engine,
  memory64: engine,
  "function-references": engine,
  gc: engine,
  "gc-support": engine,
  "extended-const": engine,
  exceptions: engine,
  "branch-hinting": engine,
  "component-model": implemented,
  "component-model-async": implemented,
  "concurrency-support": implemented,
} as const satisfies GroupOptions;

export type GroupValue = boolean | number | string;

/**
 * Reads what was given for one group: the last value of each option, and every one of those of kind "text".
 *
 * @param group `-S` or `-W`
 * @throws TandemError invalid_argument naming the option
 */
export function readGroup(group: string, options: GroupOptions, given: readonly string[]): GroupGiven {
  const values = new Map<string, GroupValue[]>();
  for (const part of given.flatMap((text) => text.split(","))) {
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).replaceAll("_", "-");
    const value = equals < 0 ? undefined : part.slice(equals + 1);
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined)
      throw new TandemError("invalid_argument", `option ${group} ${part}: is not supported`);
    const read = readValue(`option ${group} ${part}`, option, value);
    values.set(name, [...(values.get(name) ?? []), read]);
  }
  return new GroupGiven(values);
}

/** What was given for one group. */
export class GroupGiven {
  readonly #values: ReadonlyMap<string, readonly GroupValue[]>;

  constructor(values: ReadonlyMap<string, readonly GroupValue[]>) {
    this.#values = values;
  }

  /** Of a switch; undefined when it was not given. */
  switch(name: string): boolean | undefined {
    const value = this.#values.get(name)?.at(-1);
    return typeof value === "boolean" ? value : undefined;
  }

  /** Of a count, or a duration in milliseconds. */
  number(name: string): number | undefined {
    const value = this.#values.get(name)?.at(-1);
    return typeof value === "number" ? value : undefined;
  }

  texts(name: string): readonly string[] {
    return (this.#values.get(name) ?? []).map(String);
  }
}

function readValue(what: string, option: GroupOption, value: string | undefined): GroupValue {
  if ("always" in option) {
    if (!readSwitch(what, value))
      throw new TandemError("invalid_argument", `${what}: cannot be switched off, ${option.always}`);
    return true;
  }
  switch (option.kind) {
    case "switch":
      return readSwitch(what, value);
    case "count":
      return readCount(what, value ?? "");
    case "duration":
      return readDuration(what, value ?? "");
    case "text":
      if (value === undefined || value === "")
        throw new TandemError("invalid_argument", `${what}: needs a value`);
      return value;
  }
}
