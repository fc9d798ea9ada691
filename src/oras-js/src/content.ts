import type { Descriptor } from "./descriptor.ts";

/** Content in memory, or something that can be read from its start as often as needed. */
export type Source = Uint8Array | (() => AsyncIterable<Uint8Array>);

/** Content with its descriptor. */
export interface Blob {
  readonly descriptor: Descriptor;
  readonly source: Source;
}

/** A manifest, what it refers to, and (of an index) the manifests below it. */
export interface Packed {
  readonly manifest: { readonly descriptor: Descriptor; readonly bytes: Uint8Array };
  readonly blobs: readonly Blob[];
  readonly children: readonly Packed[];
}

/** Where pulled content goes. `write` MUST be all or nothing: content that throws half-way is not what its descriptor says. */
export interface ContentStore {
  has(descriptor: Descriptor): Promise<boolean>;
  write(descriptor: Descriptor, content: AsyncIterable<Uint8Array>): Promise<void>;
}

/** Reads a source from its start. */
export async function* read(source: Source): AsyncGenerator<Uint8Array, void, undefined> {
  if (source instanceof Uint8Array) yield source;
  else yield* source();
}

/** A content store in memory, for small artifacts and tests. */
export class MemoryStore implements ContentStore {
  readonly contents = new Map<string, Uint8Array>();

  async has(descriptor: Descriptor): Promise<boolean> {
    return this.contents.has(descriptor.digest);
  }

  async write(descriptor: Descriptor, content: AsyncIterable<Uint8Array>): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk);
    this.contents.set(descriptor.digest, Buffer.concat(chunks));
  }
}

/** Cuts content into pieces of exactly `size` bytes; only the last may be shorter. */
export async function* inPieces(
  content: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let held: Uint8Array[] = [];
  let heldSize = 0;
  for await (let chunk of content) {
    while (heldSize + chunk.byteLength >= size) {
      const head = chunk.subarray(0, size - heldSize);
      yield Buffer.concat([...held, head]);
      chunk = chunk.subarray(head.byteLength);
      held = [];
      heldSize = 0;
    }
    if (chunk.byteLength > 0) held.push(chunk);
    heldSize += chunk.byteLength;
  }
  if (heldSize > 0) yield Buffer.concat(held);
}
