import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { array, asyncProperty, integer, assert as property, uint8Array } from "fast-check";
import { extract } from "tar-stream";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { inPieces } from "../src/content.ts";
import {
  type Descriptor,
  digestOf,
  Layout,
  type Manifest,
  MemoryStore,
  mediaTypes,
  packArtifact,
  packImage,
  packIndex,
  packTarLayer,
  packWasm,
  verified,
  writeLayoutTar,
} from "../src/index.ts";
import { collect, rejects } from "./fake-registry.ts";

const packing = suite<{ directory: string }>("packing");

packing.before(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), "oras-pack-"));
});
packing.after(async (context) => {
  await rm(context.directory, { recursive: true, force: true });
});

packing("an artifact without config gets the empty one, and an empty layer", () => {
  const { packed, manifest } = artifact({ artifactType: "application/vnd.example" });
  assert.is(manifest.config.mediaType, mediaTypes.empty);
  assert.is(
    manifest.config.digest,
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
  );
  assert.is(manifest.config.size, 2);
  assert.equal(
    manifest.layers.map(({ mediaType }) => mediaType),
    [mediaTypes.empty],
  );
  assert.is(packed.blobs.length, 1, "the same blob is kept once");
});

packing("an artifact without any type is refused", async () => {
  await rejects((async () => packArtifact({}))(), "invalid_argument");
});

packing("subject and annotations go into the manifest", () => {
  const { packed: image } = artifact({ artifactType: "a/image" });
  const subject = image.manifest.descriptor;
  const { manifest } = artifact({ artifactType: "a/signature", subject, annotations: { by: "ann" } });
  assert.equal(manifest.subject, subject);
  assert.equal(manifest.annotations, { by: "ann" });
});

packing("an index refers to its manifests with their platforms", () => {
  const { packed } = artifact({ artifactType: "a/b" });
  const index = packIndex({ manifests: [{ packed, platform: { os: "linux", architecture: "amd64" } }] });
  const { manifests } = JSON.parse(Buffer.from(index.manifest.bytes).toString());
  assert.equal(manifests, [
    { ...packed.manifest.descriptor, platform: { os: "linux", architecture: "amd64" } },
  ]);
  assert.is(index.children[0], packed);
});

packing("an image's diff ids are those of its tar layers before compression", async () => {
  const entries = [{ type: "file", path: "a", bytes: Buffer.from("x") }] as const;
  const [gzip, zstd, none] = [
    await packTarLayer(entries),
    await packTarLayer(entries, "zstd"),
    await packTarLayer(entries, "none"),
  ];
  const raw = { mediaType: mediaTypes.wasm, bytes: Buffer.from("wasm") };
  const image = packImage({ architecture: "amd64", os: "linux", layers: [gzip, zstd, none, raw] });
  const manifest = manifestOf(image.manifest.bytes);
  const config = JSON.parse(await textOf(image.blobs, manifest.config));
  assert.equal(config.rootfs.diff_ids, [none.diffId, none.diffId, none.diffId]);
  assert.is(digestOf(none.bytes), none.diffId);
  assert.ok(gunzipSync(gzip.bytes).equals(none.bytes));
  assert.ok(zstdDecompressSync(zstd.bytes).equals(none.bytes));
});

packing("a layer has its parents, modes and links, and the same bytes every time", async () => {
  const entries = [
    { type: "file", path: "/usr/bin/tool", bytes: Buffer.from("#!"), mode: 0o755 },
    { type: "symlink", path: "usr/bin/alias", target: "tool" },
    { type: "hardlink", path: "usr/bin/same", target: "/usr/bin/tool" },
    { type: "directory", path: "./tmp/", mode: 0o1777 },
  ] as const;
  const layer = await packTarLayer(entries, "none");
  const tar = extract();
  tar.end(layer.bytes);
  const headers: string[] = [];
  for await (const entry of tar) {
    const { name, type, mode, linkname, uid } = entry.header;
    headers.push([name, type, mode?.toString(8), linkname ?? "", uid].join(" "));
    entry.resume();
  }
  assert.equal(headers, [
    "usr directory 755  0",
    "usr/bin directory 755  0",
    "usr/bin/tool file 755  0",
    "usr/bin/alias symlink 777 tool 0",
    "usr/bin/same link 644 usr/bin/tool 0",
    "tmp directory 1777  0",
  ]);
  assert.is(layer.diffId, (await packTarLayer(entries, "none")).diffId);
});

packing("a path that leaves the layer is refused", async () => {
  for (const path of ["../x", "a/../../x", "/", "."]) {
    await rejects(packTarLayer([{ type: "file", path, bytes: Buffer.alloc(0) }]), "invalid_argument");
  }
});

packing("a component's config says what it exports", async () => {
  const component = { exports: ["wasi:cli/run"], target: "wasi:cli/command" };
  const packed = packWasm({ bytes: Buffer.from("w"), os: "wasip2", component });
  const config = JSON.parse(await textOf(packed.blobs, manifestOf(packed.manifest.bytes).config));
  assert.equal(config.component, component);
  assert.is(config.os, "wasip2");
});

packing("a layout holds every blob, and names that are taken move", async ({ directory }) => {
  const layout = new Layout(join(directory, "layout"));
  const [first, second] = [
    artifact({ artifactType: "a/1" }).packed,
    artifact({ artifactType: "a/2" }).packed,
  ];
  await layout.add({ name: "one", packed: first });
  await layout.add({ name: "two", packed: first });
  await layout.add({ name: "one", packed: second });
  const index = JSON.parse(await readFile(join(layout.directory, "index.json"), "utf8"));
  const names = index.manifests.map((entry: Descriptor) => [
    entry.annotations?.["org.opencontainers.image.ref.name"],
    entry.digest,
  ]);
  assert.equal(names, [
    ["two", first.manifest.descriptor.digest],
    ["one", second.manifest.descriptor.digest],
  ]);
  assert.equal(JSON.parse(await readFile(join(layout.directory, "oci-layout"), "utf8")), {
    imageLayoutVersion: "1.0.0",
  });
  for (const { descriptor } of [first.manifest, second.manifest, ...first.blobs])
    assert.ok(await layout.has(descriptor));
});

packing("content that is not what it should be is not in the layout afterwards", async ({ directory }) => {
  const layout = new Layout(join(directory, "bad"));
  const descriptor = { mediaType: "a/b", digest: digestOf("right"), size: 5 };
  await rejects(layout.write(descriptor, once(Buffer.from("wrong"))), "digest_mismatch");
  assert.not(await layout.has(descriptor));
  assert.equal(await readdir(join(layout.directory, "blobs", "sha256")), [], "no temporary file either");
});

packing("a layout tar with a source that lies fails", async ({ directory }) => {
  const { packed } = artifact({ artifactType: "a/b" });
  const descriptor = { mediaType: "a/b", digest: digestOf("right"), size: 5 };
  const lying = { ...packed, blobs: [{ descriptor, source: Buffer.from("wrong") }] };
  await rejects(
    writeLayoutTar(join(directory, "bad.tar"), [{ name: "n", packed: lying }]),
    "digest_mismatch",
  );
});

packing("verified content is what went in, however it was cut", async () => {
  await property(
    asyncProperty(array(uint8Array({ maxLength: 100 })), async (chunks) => {
      const whole = Buffer.concat(chunks);
      const descriptor = { mediaType: "a/b", digest: digestOf(whole), size: whole.byteLength };
      assert.ok((await collect(verified(each(chunks), descriptor))).equals(whole));
    }),
  );
});

packing("pieces are all of the size asked for but the last", async () => {
  await property(
    asyncProperty(
      array(uint8Array({ maxLength: 100 })),
      integer({ min: 1, max: 50 }),
      async (chunks, size) => {
        const pieces: Uint8Array[] = [];
        for await (const piece of inPieces(each(chunks), size)) pieces.push(piece);
        assert.ok(Buffer.concat(pieces).equals(Buffer.concat(chunks)));
        assert.ok(pieces.slice(0, -1).every(({ byteLength }) => byteLength === size));
        assert.ok(pieces.every(({ byteLength }) => byteLength > 0 && byteLength <= size));
      },
    ),
  );
});

packing("a memory store keeps what was written", async () => {
  const store = new MemoryStore();
  const descriptor = { mediaType: "a/b", digest: digestOf("x"), size: 1 };
  assert.not(await store.has(descriptor));
  await store.write(descriptor, once(Buffer.from("x")));
  assert.ok(await store.has(descriptor));
});

function artifact(input: Parameters<typeof packArtifact>[0]) {
  const packed = packArtifact(input);
  return { packed, manifest: manifestOf(packed.manifest.bytes) };
}

function manifestOf(bytes: Uint8Array): Manifest {
  return JSON.parse(Buffer.from(bytes).toString());
}

async function textOf(
  blobs: ReturnType<typeof packArtifact>["blobs"],
  descriptor: Descriptor,
): Promise<string> {
  const source = blobs.find((blob) => blob.descriptor.digest === descriptor.digest)?.source;
  if (!(source instanceof Uint8Array)) throw new Error(`no blob ${descriptor.digest}`);
  return Buffer.from(source).toString();
}

async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks;
}

function once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  return each([bytes]);
}

packing.run();
