import { BinaryReader } from "../binary-reader.ts";
import { findLasting, skipConstantExpression } from "./instructions.ts";

/** `other`: vectors and references. */
export type CoreType = "i32" | "i64" | "f32" | "f64" | "other";

export interface CoreSignature {
  readonly params: readonly CoreType[];
  readonly results: readonly CoreType[];
}

export interface CoreImport {
  readonly module: string;
  readonly name: string;
  /** Of a function; undefined for everything else. */
  readonly signature: CoreSignature | undefined;
}

/** What linking needs to know of a core module. */
export interface CoreModule {
  readonly bytes: Uint8Array;
  readonly imports: readonly CoreImport[];
  /** By name: what it is, and its index among those of its kind. */
  readonly exports: ReadonlyMap<string, { readonly kind: CoreKind; readonly index: number }>;
  /** Indexes of memories that the module itself defines. */
  readonly memories: readonly number[];
  /** Whether one of the memories, imported or not, has 64-bit addresses. */
  readonly memory64: boolean;
  /** Indexes of its own mutable globals. */
  readonly globals: readonly number[];
  /** Signature of an exported function. */
  exportedSignature(name: string): CoreSignature | undefined;
  /** Why an instance cannot be put back to its first state by its memories and globals; undefined when it can. */
  readonly lasting: string | undefined;
}

export const coreKinds = ["function", "table", "memory", "global", "tag"] as const;
export type CoreKind = (typeof coreKinds)[number];

const numberTypes: Readonly<Record<number, CoreType>> = { 127: "i32", 126: "i64", 125: "f32", 124: "f64" };
const FUNCREF = 0x70;
const EXTERNREF = 0x6f;

const section = {
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  code: 10,
} as const;

const SHARED = 0x02;
const MEMORY64 = 0x04;

/** Reads a core module. Its validity is for the engine to judge. @throws TandemError invalid_argument */
export function readCoreModule(bytes: Uint8Array): CoreModule {
  return new ModuleReader(bytes).read();
}

class ModuleReader {
  readonly #bytes: Uint8Array;
  readonly #types: (CoreSignature | undefined)[] = [];
  readonly #imports: CoreImport[] = [];
  readonly #functions: (CoreSignature | undefined)[] = [];
  readonly #exports = new Map<string, { kind: CoreKind; index: number }>();
  readonly #memories: number[] = [];
  readonly #globals: number[] = [];
  #memoryCount = 0;
  #globalCount = 0;
  #memory64 = false;
  #lasting: string | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(): CoreModule {
    const reader = new BinaryReader(this.#bytes, 8, "component");
    while (!reader.atEnd()) {
      const id = reader.byte();
      this.#readSection(id, reader.slice(reader.u32()));
    }
    return {
      bytes: this.#bytes,
      imports: this.#imports,
      exports: this.#exports,
      memories: this.#memories,
      memory64: this.#memory64,
      globals: this.#globals,
      lasting: this.#lasting,
      exportedSignature: (name) => {
        const found = this.#exports.get(name);
        return found?.kind === "function" ? this.#functions[found.index] : undefined;
      },
    };
  }

  #readSection(id: number, body: BinaryReader): void {
    switch (id) {
      case section.type:
        this.#readTypes(body);
        return;
      case section.import:
        body.vector(() => this.#readImport(body));
        return;
      case section.function:
        body.vector(() => this.#functions.push(this.#types[body.u32()]));
        return;
      case section.memory:
        body.vector(() => {
          this.#readMemory(body);
          this.#memories.push(this.#memoryCount++);
        });
        return;
      case section.global:
        body.vector(() => this.#readGlobal(body));
        return;
      case section.export:
        body.vector(() => this.#readExport(body));
        return;
      case section.code:
        this.#remain(findLasting(body));
    }
  }

  #readTypes(body: BinaryReader): void {
    body.vector(() => {
      if (body.peek() !== 0x4e) return this.#readSubtype(body);
      body.byte(); // a recursive group
      body.vector(() => this.#readSubtype(body));
    });
  }

  #readSubtype(body: BinaryReader): void {
    if (body.peek() === 0x50 || body.peek() === 0x4f) {
      body.byte();
      body.vector(() => body.u32());
    }
    const form = body.byte();
    if (form === 0x60) {
      const params = body.vector(() => readValueType(body).type);
      const results = body.vector(() => readValueType(body).type);
      this.#types.push({ params, results });
      return;
    }
    // A struct or array outlives a call only where a table or a global leads to it; to follow those is not worth it.
    this.#remain("objects of the collector");
    if (form === 0x5f) body.vector(() => skipFieldType(body));
    else skipFieldType(body);
    this.#types.push(undefined);
  }

  #readImport(body: BinaryReader): void {
    const [module, name] = [body.string(), body.string()];
    const kind = coreKinds[body.byte()];
    let signature: CoreSignature | undefined;
    switch (kind) {
      case "function":
        signature = this.#types[body.u32()];
        this.#functions.push(signature);
        break;
      case "table":
        readValueType(body);
        skipLimits(body);
        break;
      case "memory":
        this.#readMemory(body);
        this.#memoryCount++;
        break;
      case "global":
        readValueType(body);
        body.byte();
        this.#globalCount++;
        break;
      default:
        body.byte();
        body.u32();
    }
    this.#imports.push({ module, name, signature });
  }

  #readMemory(body: BinaryReader): void {
    const flags = skipLimits(body);
    if ((flags & MEMORY64) !== 0) this.#memory64 = true;
    if ((flags & SHARED) !== 0) this.#remain("a shared memory");
  }

  #readGlobal(body: BinaryReader): void {
    const { type, settable } = readValueType(body);
    const mutable = body.byte() === 1;
    skipConstantExpression(body);
    if (mutable) {
      this.#globals.push(this.#globalCount);
      if (type === "other" && !settable) this.#remain("a global that JavaScript cannot set");
    }
    this.#globalCount++;
  }

  #readExport(body: BinaryReader): void {
    const name = body.string();
    const kind = coreKinds[body.byte()];
    const index = body.u32();
    if (kind !== undefined) this.#exports.set(name, { kind, index });
  }

  #remain(reason: string | undefined): void {
    this.#lasting ??= reason;
  }
}

/** `settable`: JavaScript can read and write a global of this type. */
function readValueType(body: BinaryReader): { readonly type: CoreType; readonly settable: boolean } {
  const byte = body.byte();
  if (byte === 0x63 || byte === 0x64) {
    body.s33(); // a reference with its heap type
    return { type: "other", settable: false };
  }
  return { type: numberTypes[byte] ?? "other", settable: byte === FUNCREF || byte === EXTERNREF };
}

/** Packed types have a byte of their own, like all others. */
function skipFieldType(body: BinaryReader): void {
  readValueType(body);
  body.byte();
}

function skipLimits(body: BinaryReader): number {
  const flags = body.byte();
  body.skipLeb();
  if ((flags & 1) !== 0) body.skipLeb();
  if ((flags & 8) !== 0) body.skipLeb(); // a page size of its own
  return flags;
}
