import { demangle } from "./demangle.ts";
import type { SourcePosition } from "./line-table.ts";
import { printable } from "./printable.ts";
import { findSources, type GuestSources } from "./source-lookup.ts";
import { readWasmFrames, type WasmFrame } from "./wasm-frame.ts";

/** How many frames V8 keeps of a stack: those of the host's glue count too. */
const FRAMES_KEPT = 64;
const MOST_LINES = 32;

/** From now on errors have stacks that are worth printing. */
export function keepDeepStacks(): void {
  Error.stackTraceLimit = FRAMES_KEPT;
}

/**
 * The guest's part of a stack, innermost first, a line each: what runs where. Frames of a recursion are one line.
 *
 *     wasm backtrace:
 *         0: inner at src/lib.rs:12:5 (wasm-function[4]:0x1c7)
 *         1: main at src/main.rs:3:1 (wasm-function[7]:0x204), 3 times
 */
export function backtrace(stack: string, sources: GuestSources): string {
  const frames = readWasmFrames(stack);
  if (frames.length === 0) return "";
  const positions = findSources(frames, sources);
  const groups = grouped(frames).slice(0, MOST_LINES);
  const lines = groups.map(({ frame, at, times }) => {
    const again = times > 1 ? `, ${times} times` : "";
    return `${String(at).padStart(5)}: ${describe(frame, positions.get(frame))}${again}\n`;
  });
  return `wasm backtrace:\n${lines.join("")}`;
}

interface Group {
  readonly frame: WasmFrame;
  readonly at: number;
  times: number;
}

function grouped(frames: readonly WasmFrame[]): Group[] {
  const groups: Group[] = [];
  for (const [at, frame] of frames.entries()) {
    const last = groups.at(-1);
    if (last !== undefined && isSame(last.frame, frame)) last.times++;
    else groups.push({ frame, at, times: 1 });
  }
  return groups;
}

function isSame(left: WasmFrame, right: WasmFrame): boolean {
  return left.url === right.url && left.index === right.index && left.offset === right.offset;
}

function describe({ name, index, offset }: WasmFrame, position: SourcePosition | undefined): string {
  const where = `wasm-function[${index}]:0x${offset.toString(16)}`;
  const called = name === undefined ? "<unknown>" : printable(demangle(name));
  if (position === undefined) return `${called} (${where})`;
  const { file, line, column } = position;
  return `${called} at ${printable(file)}:${line}${column === 0 ? "" : `:${column}`} (${where})`;
}
