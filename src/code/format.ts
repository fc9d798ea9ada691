import { TandemError } from "../errors.ts";

/**
 * What V8 14.6 writes of a module (its wasm-serialization.cc). Integers are little-endian, functions the module's own, in order:
 *
 *     28  magic, version, processor, flags, features: equal, or V8 does not take it
 *      8  features that the module was seen to use; only counted
 *      8  bytes of code in all
 *      1  whether memory is guarded by traps
 *      n  one byte for each imported function
 *         for each function: 2 not compiled yet | 3 to be compiled at once | 4 and its code
 *     4n  for each function, how much longer it may run before it is optimised
 *
 * Nothing here depends on these numbers being right: `CodeFormat.learn` looks them up in what this V8 writes, or gives up.
 */
const comparedBytes = 28;
const headBytes = 36;
const totalBytes = 8;
const guardBytes = 1;
const budgetBytes = 4;

const lazy = 2;
const eager = 3;
const compiled = 4;

/** Of a function with code: 16 integers, of which those from the tenth on are lengths of what follows; its kind and tier. */
const codeIntegers = 16;
const firstLength = 9;
const kindAndTierBytes = 5;

/** How far a function has come. */
export type FunctionState = "unused" | "used" | "optimised";

const states: Readonly<Record<number, FunctionState>> = {
  [lazy]: "unused",
  [eager]: "used",
  [compiled]: "optimised",
};

/** How many functions of either kind a module has. */
export interface FunctionCounts {
  readonly imports: number;
  readonly functions: number;
}

/**
 * The state of each function.
 * @throws TandemError failed_precondition where the bytes are not of this form
 */
export function parseStates(code: Buffer, { imports, functions }: FunctionCounts): FunctionState[] {
  const found: FunctionState[] = [];
  let at = headBytes + totalBytes + guardBytes + imports;
  try {
    for (let index = 0; index < functions; index++) {
      const kind = code.readUInt8(at++);
      const state = states[kind];
      if (state === undefined) throw unlike(`function ${index} is ${kind}`);
      found.push(state);
      if (kind === compiled) at += sizeOfCode(code, at);
    }
  } catch (error) {
    throw TandemError.from(error, "code of a module");
  }
  if (code.length - at !== functions * budgetBytes)
    throw unlike(`${code.length - at} bytes after ${functions} functions`);
  return found;
}

function sizeOfCode(code: Buffer, at: number): number {
  let size = codeIntegers * 4 + kindAndTierBytes;
  for (let index = firstLength; index < codeIntegers; index++) size += code.readUInt32LE(at + index * 4);
  return size;
}

function unlike(what: string): TandemError {
  return new TandemError("failed_precondition", `code of a module: not in V8's form: ${what}`);
}

/** The parts of the form that differ from process to process, taken from what V8 has written here. */
export class CodeFormat {
  readonly #sample: Buffer;
  readonly #budget: number;

  private constructor(sample: Buffer, budget: number) {
    this.#sample = sample;
    this.#budget = budget;
  }

  /**
   * @param write has V8 compile and write a module
   * @throws TandemError failed_precondition when it writes another form than this file knows
   */
  static learn(write: (module: Uint8Array) => ArrayBuffer): CodeFormat {
    const samples = sampleShapes.map((shape) => ({ shape, code: Buffer.from(write(sampleModule(shape))) }));
    for (const { shape, code } of samples) {
      const found = parseStates(code, shape);
      if (found.some((state) => state !== "optimised")) throw unlike(`a sample is ${found.join(", ")}`);
    }
    const [least, more] = samples;
    if (least === undefined || more === undefined) throw new TandemError("internal", "no sample of code");
    const head = (code: Buffer): Buffer => code.subarray(0, headBytes);
    if (!head(least.code).equals(head(more.code))) throw unlike("samples differ");
    const imported = more.code.subarray(headBytes + totalBytes + guardBytes).subarray(0, more.shape.imports);
    if (imported.some((byte) => byte !== 0)) throw unlike("what it says of imports");
    return new CodeFormat(least.code, least.code.readUInt32LE(least.code.length - budgetBytes));
  }

  /** What V8 compares before it takes code: its version and flags, the processor. */
  get key(): Buffer {
    return this.#sample.subarray(0, comparedBytes);
  }

  isOwn(code: Uint8Array): boolean {
    return this.key.equals(code.subarray(0, comparedBytes));
  }

  /** Code of a module that has none yet: V8 will compile these functions when it takes it, the others when they are called. */
  request({ imports, functions }: FunctionCounts, wanted: Iterable<number>): Buffer {
    const kinds = Buffer.alloc(functions, lazy);
    for (const index of wanted) kinds[index] = eager;
    const budgets = Buffer.alloc(functions * budgetBytes);
    for (let index = 0; index < functions; index++) budgets.writeUInt32LE(this.#budget, index * budgetBytes);
    const head = Buffer.from(this.#sample.subarray(0, headBytes + totalBytes + guardBytes));
    head.fill(0, comparedBytes, headBytes + totalBytes); // no features seen, no code
    return Buffer.concat([head, Buffer.alloc(imports), kinds, budgets]);
  }
}

const sampleShapes: readonly FunctionCounts[] = [
  { imports: 0, functions: 1 },
  { imports: 2, functions: 3 },
];

/** Functions without parameters, results or instructions. */
function sampleModule({ imports, functions }: FunctionCounts): Uint8Array {
  const each = (count: number, bytes: readonly number[]): number[] =>
    Array.from({ length: count }, () => bytes).flat();
  const section = (id: number, count: number, content: readonly number[]): number[] =>
    count === 0 ? [] : [id, content.length + 1, count, ...content];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, 1, [0x60, 0, 0]),
    ...section(2, imports, each(imports, [1, 0x6d, 1, 0x66, 0, 0])), // "m" "f", a function of type 0
    ...section(3, functions, each(functions, [0])),
    ...section(10, functions, each(functions, [2, 0, 0x0b])),
  ]);
}
