import type { LinkPlan } from "../../src/image/link/plan.ts";
import { native } from "../../src/native.ts";
import type { MemoryImage } from "../../src/native-surface.ts";
import type { LinkedInstance } from "./linked-instance.ts";

/** Images of a component's memories, which all its instances share. */
export class Images {
  readonly #memfd: number;
  readonly #images = new Map<string, MemoryImage>();

  /** @param memfd where they are kept: empty, and nobody else's (`native.memfd`) */
  constructor(memfd: number) {
    this.#memfd = memfd;
  }

  /** The image of the memory that an instance begins with; undefined when it begins with other bytes than the first one did. */
  share(key: string, memory: WebAssembly.Memory): MemoryImage | undefined {
    let image = this.#images.get(key);
    if (image === undefined) {
      image = native.createMemoryImage(this.#memfd, memory.buffer);
      this.#images.set(key, image);
    }
    return native.adoptMemoryImage(image, memory.buffer) ? image : undefined;
  }
}

interface SharedMemory {
  readonly memory: WebAssembly.Memory;
  /** undefined when it has no bytes. */
  readonly image: MemoryImage | undefined;
  readonly byteLength: number;
}

/**
 * The first state of an instance, to put it back to: what its core modules can change is their memories and mutable globals (LinkPlan
 * says where that is all), and the handles that it holds.
 */
export class Snapshot {
  readonly #instance: LinkedInstance;
  readonly #memories: readonly SharedMemory[];
  readonly #globals: readonly (readonly [WebAssembly.Global, unknown])[];

  private constructor(
    instance: LinkedInstance,
    memories: readonly SharedMemory[],
    globals: readonly (readonly [WebAssembly.Global, unknown])[],
  ) {
    this.#instance = instance;
    this.#memories = memories;
    this.#globals = globals;
  }

  /**
   * Of an instance that has done nothing yet. undefined when it cannot be put back: a module of its has other state, or it has called
   * its host while it was made, whose answers may be others the next time.
   */
  static take(instance: LinkedInstance, plan: LinkPlan, images: Images): Snapshot | undefined {
    if (instance.hasCalledOut || instance.handles.size > 0) return undefined;
    const memories: SharedMemory[] = [];
    const globals: [WebAssembly.Global, unknown][] = [];
    for (const [place, { module }] of plan.instances.entries()) {
      const state = plan.modules[module]?.state;
      if (state === undefined || "lasting" in state) return undefined;
      for (const name of state.memories) {
        const shared = share(
          instance.exported([place, name]) as WebAssembly.Memory,
          `${place} ${name}`,
          images,
        );
        if (shared === undefined) return undefined;
        memories.push(shared);
      }
      for (const name of state.globals) {
        const global = instance.exported([place, name]) as WebAssembly.Global;
        globals.push([global, global.value]);
      }
    }
    return new Snapshot(instance, memories, globals);
  }

  /** Puts the instance back; false when that cannot be, because a memory of its has grown. */
  restore(): boolean {
    this.#instance.handles.clear();
    for (const { memory, byteLength } of this.#memories)
      if (memory.buffer.byteLength !== byteLength) return false;
    for (const { memory, image } of this.#memories)
      if (image !== undefined) native.restoreMemory(image, memory.buffer);
    for (const [global, value] of this.#globals) global.value = value;
    return true;
  }
}

function share(memory: WebAssembly.Memory, key: string, images: Images): SharedMemory | undefined {
  const { byteLength } = memory.buffer;
  if (byteLength === 0) return { memory, image: undefined, byteLength };
  const image = images.share(key, memory);
  return image === undefined ? undefined : { memory, image, byteLength };
}
