import { TandemError } from "../src/errors.ts";
import { denials } from "./debug/denials.ts";
import { watchP1 } from "./debug/watch-p1.ts";
import type { Grant } from "./grant.ts";
import { importAdvice } from "./import-advice.ts";
import type { ImportedMemory } from "./threads/imported-memories.ts";
import { isSpawn, type Threads } from "./threads/threads.ts";
import { type Descriptors, DescriptorTable } from "./wasi/p1/descriptor.ts";
import { wasiImports } from "./wasi/p1/imports.ts";
import { State } from "./wasi/p1/state.ts";

export interface Linking {
  readonly grant: Grant;
  /** Filled in once the guest is instantiated. */
  readonly memory: { current?: WebAssembly.Memory | undefined };
  /** Ends the guest: unwinds it and does not come back. */
  readonly onExit: (status: number) => never;
  readonly memories: readonly ImportedMemory[];
  readonly threads: Threads | undefined;
}

/**
 * The imports that the module asks for, and nothing else is offered.
 * @throws TandemError unimplemented naming an import that nobody grants
 */
export function linkImports(module: WebAssembly.Module, linking: Linking): WebAssembly.Imports {
  const imports: WebAssembly.Imports = {};
  const wasi = new WasiImports(linking);
  for (const one of WebAssembly.Module.imports(module)) {
    const { module: from, name, kind } = one;
    const value = kind === "memory" ? findMemory(linking, from, name) : wasi.find(from, name, kind);
    if (value === undefined)
      throw new TandemError(
        "unimplemented",
        `module imports ${from}.${name} (${kind}), which nobody grants${importAdvice(from, name)}`,
      );
    imports[from] ??= {};
    imports[from][name] = value;
  }
  return imports;
}

function findMemory({ memories }: Linking, from: string, name: string): WebAssembly.Memory | undefined {
  return memories.find((one) => one.module === from && one.name === name)?.memory;
}

/** Functions of both ABIs, which share one table of descriptors. */
class WasiImports {
  readonly #linking: Linking;
  readonly #table: Descriptors;
  readonly #modules = new Map<string, WebAssembly.ModuleImports>();

  constructor(linking: Linking) {
    this.#linking = linking;
    this.#table = linking.threads?.table ?? new DescriptorTable(linking.grant);
  }

  find(from: string, name: string, kind: string): WebAssembly.ImportValue | undefined {
    const { threads } = this.#linking;
    if (kind !== "function") return undefined;
    if (threads !== undefined && isSpawn({ module: from, name })) return threads.spawn;
    if (from !== "wasi_unstable" && from !== "wasi_snapshot_preview1") return undefined;
    const known = this.#modules.get(from) ?? this.#make(from);
    if (!Object.hasOwn(known, name)) return undefined;
    const found = this.#watched(name, known[name]);
    if (threads === undefined || typeof found !== "function") return found;
    // What a call looked up of the shared table, it uses to its end.
    return (...args: never[]) => {
      try {
        return found(...args);
      } finally {
        threads.table.release();
      }
    };
  }

  #watched(name: string, found: WebAssembly.ImportValue | undefined): WebAssembly.ImportValue | undefined {
    if (!denials.isOn || typeof found !== "function") return found;
    const { memory } = this.#linking;
    return watchP1(
      name,
      found as (...args: never[]) => unknown,
      () => new Uint8Array(memory.current?.buffer ?? new ArrayBuffer(0)),
    );
  }

  #make(from: string): WebAssembly.ModuleImports {
    const unstable = from === "wasi_unstable";
    const made = wasiImports(new State({ ...this.#linking, table: this.#table, unstable }));
    this.#modules.set(from, made);
    return made;
  }
}
