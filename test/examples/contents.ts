import { Readable } from "node:stream";
import { gunzipSync } from "node:zlib";
import { type Descriptor, digestOf, type Manifest, type Packed, verified } from "oras-js";
import { extract } from "tar-stream";

/** The bytes behind a descriptor of a packed image, checked. */
export async function bytesOf(packed: Packed, descriptor: Descriptor | undefined): Promise<Buffer> {
  const blob = packed.blobs.find((candidate) => candidate.descriptor.digest === descriptor?.digest);
  if (blob === undefined || !(blob.source instanceof Uint8Array))
    throw new Error(`no blob ${descriptor?.digest}`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of verified(Readable.from([blob.source]), blob.descriptor)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The manifest of a packed image, after checking that its digest is that of its bytes. */
export function manifestOf(packed: Packed): Manifest {
  const { descriptor, bytes } = packed.manifest;
  if (digestOf(bytes) !== descriptor.digest)
    throw new Error(`${descriptor.digest}: manifest has another digest`);
  return JSON.parse(Buffer.from(bytes).toString("utf8"));
}

export interface TarMember {
  readonly type: string;
  readonly mode: number;
  readonly target: string | undefined;
  readonly bytes: Buffer;
}

/** The members of a gzipped tar layer by path. */
export async function membersOf(layer: Uint8Array): Promise<ReadonlyMap<string, TarMember>> {
  const members = new Map<string, TarMember>();
  const tar = extract();
  tar.end(gunzipSync(layer));
  for await (const entry of tar) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    const { name, type, mode, linkname } = entry.header;
    members.set(name.replace(/\/$/, ""), {
      type: String(type),
      mode: mode ?? 0,
      target: linkname ?? undefined,
      bytes: Buffer.concat(chunks),
    });
  }
  return members;
}
