import { readMemoryImports } from "../../src/wasm-binary/module-types.ts";
import type { CompiledModule } from "../run-module.ts";

/** A memory that a module imports, and every instance of it, in whichever thread, shares. */
export interface ImportedMemory {
  readonly module: string;
  readonly name: string;
  readonly memory: WebAssembly.Memory;
}

/**
 * Makes the shared memories that a module imports, as large as it says. Others it does not get: a memory that nobody else has
 * could as well be its own.
 * @throws RangeError when there is no room for one
 */
export function createImportedMemories({ module, bytes }: CompiledModule): readonly ImportedMemory[] {
  if (!WebAssembly.Module.imports(module).some(({ kind }) => kind === "memory")) return [];
  return readMemoryImports(bytes)
    .filter(({ shared }) => shared)
    .map(({ module: from, name, initial, maximum, memory64 }) => ({
      module: from,
      name,
      memory: new WebAssembly.Memory(
        memory64
          ? { address: "i64", initial, maximum, shared: true }
          : { initial: Number(initial), maximum: Number(maximum), shared: true },
      ),
    }));
}
