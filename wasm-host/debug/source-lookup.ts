import { findNativeCode } from "../../src/native-code.ts";
import { findCustomSection, findSection, sectionIds } from "../../src/wasm-binary/sections.ts";
import { findPositions, type SourcePosition } from "./line-table.ts";
import { findInMap, readSourceMap } from "./source-map.ts";
import type { WasmFrame } from "./wasm-frame.ts";

/** Where a guest's traps may be looked up. */
export interface GuestSources {
  readonly modules: Iterable<WebAssembly.Module>;
  /** The file beside the module that may be its source map. */
  readonly sourceMap?: number | undefined;
}

/** Positions of frames, by them, as far as DWARF or a source map in the guest's modules tells. Whatever is broken there tells nothing. */
export function findSources(
  frames: readonly WasmFrame[],
  sources: GuestSources,
): ReadonlyMap<WasmFrame, SourcePosition> {
  const found = new Map<WasmFrame, SourcePosition>();
  const native = findNativeCode();
  if (native === undefined) return found;
  try {
    for (const module of sources.modules) {
      const [url, buffer] = native.source(module);
      const own = frames.filter((frame) => frame.url === url);
      if (own.length > 0) findInModule(own, new Uint8Array(buffer), sources, found);
    }
  } catch (error) {
    if (!isExpected(error)) throw error;
  }
  return found;
}

/** A guest's own tables may be anything. */
function isExpected(error: unknown): boolean {
  return [RangeError, SyntaxError, URIError, TypeError].some((kind) => error instanceof kind);
}

function findInModule(
  frames: readonly WasmFrame[],
  bytes: Uint8Array,
  sources: GuestSources,
  found: Map<WasmFrame, SourcePosition>,
): void {
  const lines = findCustomSection(bytes, ".debug_line");
  const code = findSection(bytes, sectionIds.code);
  if (lines !== undefined && code !== undefined) {
    const addressOf = ({ offset }: WasmFrame): number => offset - code.at;
    const positions = findPositions(lines, readStrings(bytes), frames.map(addressOf));
    for (const frame of frames) set(found, frame, positions.get(addressOf(frame)));
    return;
  }
  const map = readSourceMap(bytes, sources.sourceMap);
  if (map !== undefined) for (const frame of frames) set(found, frame, findInMap(map, frame.offset));
}

function readStrings(bytes: Uint8Array): { str: Uint8Array; lineStr: Uint8Array } {
  const section = (name: string): Uint8Array => findCustomSection(bytes, name) ?? new Uint8Array(0);
  return { str: section(".debug_str"), lineStr: section(".debug_line_str") };
}

function set<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value !== undefined) map.set(key, value);
}
