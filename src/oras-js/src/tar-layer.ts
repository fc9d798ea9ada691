import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { gzip, zstdCompress } from "node:zlib";
import { pack as openTar } from "tar-stream";
import { digestOf } from "./digest.ts";
import { OrasError } from "./errors.ts";
import { mediaTypes } from "./media-types.ts";

/** One member of a layer. Parents that are not listed are made as 0755 directories. */
export type TarEntry =
  | { readonly type: "file"; readonly path: string; readonly bytes: Uint8Array; readonly mode?: number }
  | { readonly type: "directory"; readonly path: string; readonly mode?: number }
  | { readonly type: "symlink" | "hardlink"; readonly path: string; readonly target: string };

export type Compression = "none" | "gzip" | "zstd";

/** A layer made of files. */
export interface TarLayer {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** Digest of the tar before compression: an entry of the image config's `rootfs.diff_ids`. */
  readonly diffId: string;
}

/**
 * Builds a layer. The same entries give the same bytes: members are owned by root, dated 1970, in the order given.
 *
 * @throws OrasError `invalid_argument` for a path that leaves the root
 */
export async function packTarLayer(
  entries: readonly TarEntry[],
  compression: Compression = "gzip",
): Promise<TarLayer> {
  const tar = openTar();
  const whole = buffer(tar);
  for (const entry of withParents(entries)) addEntry(tar, entry);
  tar.finalize();
  const bytes = await whole;
  const diffId = digestOf(bytes);
  switch (compression) {
    case "none":
      return { mediaType: mediaTypes.ociLayerTar, bytes, diffId };
    case "gzip":
      return { mediaType: mediaTypes.ociLayerGzip, bytes: await promisify(gzip)(bytes), diffId };
    case "zstd":
      return { mediaType: mediaTypes.ociLayerZstd, bytes: await promisify(zstdCompress)(bytes), diffId };
  }
}

function addEntry(tar: ReturnType<typeof openTar>, entry: TarEntry): void {
  const common = { name: entry.path, mtime: new Date(0), uid: 0, gid: 0 };
  switch (entry.type) {
    case "file":
      tar.entry({ ...common, mode: entry.mode ?? 0o644 }, Buffer.from(entry.bytes));
      return;
    case "directory":
      tar.entry({ ...common, type: "directory", mode: entry.mode ?? 0o755 });
      return;
    case "symlink":
      tar.entry({ ...common, type: "symlink", linkname: entry.target, mode: 0o777 });
      return;
    case "hardlink":
      tar.entry({ ...common, type: "link", linkname: normalize(entry.target), mode: 0o644 });
  }
}

function* withParents(entries: readonly TarEntry[]): Generator<TarEntry, void, undefined> {
  const made = new Set<string>();
  for (const entry of entries) {
    const path = normalize(entry.path);
    const parts = path.split("/");
    for (let depth = 1; depth < parts.length; depth += 1) {
      const parent = parts.slice(0, depth).join("/");
      if (made.has(parent)) continue;
      made.add(parent);
      yield { type: "directory", path: parent };
    }
    made.add(path);
    yield { ...entry, path };
  }
}

function normalize(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length === 0 || parts.includes("..")) {
    throw new OrasError("invalid_argument", `${JSON.stringify(path)}: not a path inside a layer`);
  }
  return parts.join("/");
}
