/** A frame of WebAssembly on a stack of V8's. */
export interface WasmFrame {
  /** As the name section has it; undefined without one. */
  readonly name: string | undefined;
  /** By which V8 names the module: `wasm://wasm/<hash>`. */
  readonly url: string;
  readonly index: number;
  /** Of the instruction, from the module's first byte. */
  readonly offset: number;
}

const pattern = /^\s*at (?:(.*) \()?(wasm:\/\/wasm\/.*):wasm-function\[(\d+)\]:0x([0-9a-f]+)\)?$/;

/** What of a stack is WebAssembly, the innermost frame first. The host's own functions are nobody's business. */
export function readWasmFrames(stack: string): WasmFrame[] {
  return stack.split("\n").flatMap((line) => {
    const [, name, url, index, offset] = pattern.exec(line) ?? [];
    if (url === undefined) return [];
    return [{ name, url, index: Number(index), offset: Number.parseInt(offset ?? "", 16) }];
  });
}
