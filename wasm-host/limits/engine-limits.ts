import { setFlagsFromString } from "node:v8";
import {
  type ModuleSizes,
  readModuleSizes,
  readSharedMemories,
  type Size,
} from "../../src/wasm-binary/module-sizes.ts";
import type { Limits } from "../grant.ts";
import { limitReached } from "./limit-reached.ts";

const PAGE = 65_536n;

/** How large V8 lets each memory (in pages) and each table become; undefined: as large as it can. */
export interface EngineLimits {
  readonly memoryPages: bigint | undefined;
  readonly tableElements: bigint | undefined;
}

/**
 * The most that each memory and each table may have, so that all of a guest's together keep its limits. V8 asks nobody when one
 * grows, so what is left is given out before: several that may grow have equal shares.
 *
 * @param modules of the guest, each of which it has one instance of
 * @param imports whether shared memories that they import are made for them
 * @throws LimitReached when they begin with more, RangeError for bytes that are no module
 */
export function planEngineLimits(
  { memoryBytes, tableElements }: Limits,
  modules: readonly Uint8Array[],
  { imports }: { readonly imports: boolean },
): EngineLimits {
  if (memoryBytes === undefined && tableElements === undefined)
    return { memoryPages: undefined, tableElements: undefined };
  const sizes: readonly ModuleSizes[] = modules.map(readModuleSizes);
  const shared = imports ? modules.flatMap(readSharedMemories) : [];
  const memories = [...sizes.flatMap((one) => one.memories), ...shared];
  const tables = sizes.flatMap((one) => one.tables);
  return {
    memoryPages: memoryBytes === undefined ? undefined : sharePages(memoryBytes, memories),
    tableElements: tableElements === undefined ? undefined : shareElements(tableElements, tables),
  };
}

function sharePages(bytes: number, memories: readonly Size[]): bigint {
  const pages = BigInt(bytes) / PAGE;
  const needed = sumOf(memories);
  if (needed > pages)
    throw limitReached("memoryBytes", `it begins with ${needed * PAGE} bytes of memory, ${bytes} may be`);
  const share = shareOf(pages, memories);
  const large = memories.find(({ initial }) => initial > share);
  if (large === undefined) return share;
  throw limitReached(
    "memoryBytes",
    `its ${memories.length} memories, one of ${large.initial * PAGE} bytes, could grow beyond ${bytes} together`,
  );
}

function shareElements(elements: number, tables: readonly Size[]): bigint {
  const needed = sumOf(tables);
  if (needed > BigInt(elements))
    throw limitReached("tableElements", `it begins with ${needed} elements of tables, ${elements} may be`);
  const share = shareOf(BigInt(elements), tables);
  const large = tables.find(({ initial }) => initial > share);
  if (large === undefined) return share;
  throw limitReached(
    "tableElements",
    `its ${tables.length} tables, one of ${large.initial} elements, could grow beyond ${elements} together`,
  );
}

function sumOf(sizes: readonly Size[]): bigint {
  return sizes.reduce((sum, { initial }) => sum + initial, 0n);
}

/** The largest number for which all of them, none larger than its own maximum and than this number, are at most `most` together. */
function shareOf(most: bigint, sizes: readonly Size[]): bigint {
  const maxima = sizes.map(({ maximum }) => maximum ?? most).sort((left, right) => (left < right ? -1 : 1));
  let left = most;
  for (const [index, maximum] of maxima.entries()) {
    const share = left / BigInt(maxima.length - index);
    if (maximum > share) return share;
    left -= maximum;
  }
  return most;
}

/** For the whole process, and after compilation: code that V8 has kept is good for the flags only that it was made with. */
export function setEngineLimits({ memoryPages, tableElements }: EngineLimits): void {
  if (memoryPages !== undefined) setFlagsFromString(`--wasm-max-mem-pages=${least(memoryPages)}`);
  if (tableElements !== undefined) setFlagsFromString(`--wasm-max-table-size=${least(tableElements)}`);
}

const LARGEST = 2n ** 32n - 1n;

/** V8 holds 32 bits, and has limits of its own below. */
function least(count: bigint): bigint {
  return count < LARGEST ? count : LARGEST;
}
