import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { access, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pack as openTar } from "tar-stream";
import { type ContentStore, type Packed, read, type Source } from "./content.ts";
import type { Annotations, Descriptor, Platform } from "./descriptor.ts";
import { parseDigest, verified } from "./digest.ts";
import { mediaTypes } from "./media-types.ts";
import { toBytes } from "./pack.ts";

/** An image in a layout, under a name: a whole reference for `ctr images import`, or a tag. */
export interface NamedImage {
  readonly name: string;
  readonly packed: Packed;
  readonly platform?: Platform;
}

/** A directory in the OCI image layout (image-spec, image-layout.md), as a target of `pull` and of `add`. */
export class Layout implements ContentStore {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  async has(descriptor: Descriptor): Promise<boolean> {
    try {
      await access(this.#path(descriptor.digest));
      return true;
    } catch {
      return false; // absent or not readable: either way it has to be written
    }
  }

  /** @throws OrasError when the content is not what the descriptor says; nothing is left then */
  async write(descriptor: Descriptor, content: AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#path(descriptor.digest);
    const temporary = `${path}.${randomUUID()}`;
    await mkdir(dirname(path), { recursive: true });
    try {
      await pipeline(
        Readable.from(verified(content, descriptor), { objectMode: false }),
        createWriteStream(temporary),
      );
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** Puts an image and its name into the layout; a name that is taken moves. */
  async add(image: NamedImage): Promise<void> {
    for (const { descriptor, source } of contentsOf(image.packed)) {
      if (!(await this.has(descriptor))) await this.write(descriptor, read(source));
    }
    const others = (await this.#manifests()).filter(
      ({ annotations }) => annotations?.[refName] !== image.name,
    );
    await writeFile(join(this.directory, "oci-layout"), toBytes(layoutVersion));
    await writeFile(join(this.directory, "index.json"), toBytes(indexOf([...others, entryOf(image)])));
  }

  async #manifests(): Promise<readonly Descriptor[]> {
    try {
      return JSON.parse(await readFile(join(this.directory, "index.json"), "utf8")).manifests;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  #path(digest: string): string {
    const { algorithm, hex } = parseDigest(digest);
    return join(this.directory, "blobs", algorithm, hex);
  }
}

/** The same as one tar file, for `ctr images import`, `podman load` and the like. */
export async function writeLayoutTar(path: string, images: readonly NamedImage[]): Promise<void> {
  const tar = openTar();
  const written = pipeline(tar, createWriteStream(path));
  const filled = fillTar(tar, images).catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  await Promise.all([filled, written]);
}

async function fillTar(tar: ReturnType<typeof openTar>, images: readonly NamedImage[]): Promise<void> {
  const small = (name: string, value: object) =>
    tar.entry({ name, mtime: new Date(0) }, Buffer.from(toBytes(value)));
  small("oci-layout", layoutVersion);
  small("index.json", indexOf(images.map(entryOf)));
  const seen = new Set<string>();
  for (const { descriptor, source } of images.flatMap(({ packed }) => contentsOf(packed))) {
    if (seen.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    const { algorithm, hex } = parseDigest(descriptor.digest);
    const entry = tar.entry({ name: `blobs/${algorithm}/${hex}`, size: descriptor.size, mtime: new Date(0) });
    await pipeline(Readable.from(verified(read(source), descriptor), { objectMode: false }), entry);
  }
  tar.finalize();
}

const layoutVersion = { imageLayoutVersion: "1.0.0" };
const refName = "org.opencontainers.image.ref.name";

function contentsOf(packed: Packed): readonly { readonly descriptor: Descriptor; readonly source: Source }[] {
  const { descriptor, bytes } = packed.manifest;
  return [...packed.blobs, ...packed.children.flatMap(contentsOf), { descriptor, source: bytes }];
}

function indexOf(manifests: readonly Descriptor[]): object {
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
}

function entryOf(image: NamedImage): Descriptor {
  // containerd takes the first for the whole name and only falls back to the second, which the spec means for a tag.
  const annotations: Annotations = { "io.containerd.image.name": image.name, [refName]: image.name };
  const { platform } = image;
  return {
    ...image.packed.manifest.descriptor,
    ...(platform === undefined ? {} : { platform }),
    annotations,
  };
}
