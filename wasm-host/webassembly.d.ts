/** The part of the WebAssembly JavaScript API (and JSPI) that the host uses; TypeScript has it only in its libraries for browsers. */
declare namespace WebAssembly {
  type ImportValue = ((...args: never[]) => unknown) | Memory | Table | Global | Tag | number;
  type ExportValue = ((...args: unknown[]) => unknown) | Memory | Table | Global | Tag;
  type ModuleImports = Record<string, ImportValue>;
  type Imports = Record<string, ModuleImports>;
  type Exports = Record<string, ExportValue>;
  class Module {
    constructor(bytes: Uint8Array | ArrayBuffer);
    static imports(module: Module): { module: string; name: string; kind: string }[];
    static exports(module: Module): { name: string; kind: string }[];
    static customSections(module: Module, name: string): ArrayBuffer[];
  }
  function validate(bytes: Uint8Array | ArrayBuffer): boolean;
  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Exports;
  }
  type MemoryDescriptor =
    | { address?: "i32"; initial: number; maximum?: number | undefined; shared?: boolean }
    | { address: "i64"; initial: bigint; maximum?: bigint | undefined; shared?: boolean };
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: ArrayBuffer;
    grow(delta: number | bigint): number | bigint;
  }
  class Table {
    readonly length: number;
    get(index: number): unknown;
  }
  class Global {
    value: unknown;
  }
  class Tag {}
  /** JSPI: an import that may return a promise, for which the guest is suspended. */
  const Suspending: new (fn: (...args: never[]) => unknown) => (...args: never[]) => unknown;
  /** JSPI: an export that such imports may be called from; it returns a promise. */
  function promising(fn: ExportValue): (...args: unknown[]) => Promise<unknown>;
  class RuntimeError extends Error {}
  class CompileError extends Error {}
  class LinkError extends Error {}
}
