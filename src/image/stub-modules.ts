import { ByteReader } from "../wasm-binary/byte-reader.ts";
import { ByteWriter } from "../wasm-binary/byte-writer.ts";
import { preambleLength } from "../wasm-binary/sections.ts";
import { keyOfStub, makeStub } from "./stub-module.ts";

/** Section ids of a component. */
const [coreModule, nestedComponent] = [1, 4];
/** Nobody nests components so deep. */
const DEEPEST = 32;

/**
 * A component with stubs in the place of its core modules. jco looks at nothing of a core module but its imports and exports; but it
 * refuses those with exceptions or several memories, which V8 runs. So it may transpile stubs, for which the modules
 * themselves are put back afterwards.
 */
export class StubbedComponent {
  readonly bytes: Uint8Array;
  readonly #originals: Uint8Array[] = [];

  /** @throws RangeError for bytes that are no component */
  constructor(component: Uint8Array) {
    this.bytes = this.#rewrite(component, 0);
  }

  /** The module that a stub stands for; any other module is its own. */
  original(module: Uint8Array): Uint8Array {
    const key = keyOfStub(module);
    return key === undefined ? module : (this.#originals[Number(key)] ?? module);
  }

  #rewrite(component: Uint8Array, depth: number): Uint8Array {
    if (depth > DEEPEST) throw new RangeError("components nested too deep");
    const written = new ByteWriter().raw(component.subarray(0, preambleLength));
    const reader = new ByteReader(component, preambleLength);
    while (!reader.isAtEnd) {
      const id = reader.u8();
      const part = reader.part(reader.u32());
      const contents = component.subarray(part.at, part.end);
      written.section(id, this.#replace(id, contents, depth));
    }
    return written.bytes();
  }

  #replace(id: number, contents: Uint8Array, depth: number): Uint8Array {
    if (id === nestedComponent) return this.#rewrite(contents, depth + 1);
    if (id !== coreModule) return contents;
    const key = this.#originals.push(contents) - 1;
    return makeStub(contents, String(key));
  }
}
