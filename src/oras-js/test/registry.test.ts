import { randomBytes } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  Client,
  digestOf,
  isIndex,
  MemoryStore,
  mediaTypes,
  type Progress,
  packArtifact,
  packImage,
  packIndex,
  packTarLayer,
  packWasm,
} from "../src/index.ts";
import { missingRegistry, type RunningRegistry, startRegistry } from "./debian-registry.ts";

const registries = suite<{ registry: RunningRegistry; client: Client }>("against Debian's docker-registry");
const reason = missingRegistry();

registries.before(async (context) => {
  context.registry = await startRegistry();
  context.client = new Client();
});
registries.after(async (context) => {
  await context.registry[Symbol.asyncDispose]();
});

const wasm = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

registries(
  "a pushed artifact comes back with its own media types and the same bytes",
  async ({ registry, client }) => {
    const reference = `${registry.address}/demo/artifact:v1`;
    const layer = randomBytes(300_000);
    const packed = packArtifact({
      artifactType: "application/vnd.example.thing",
      configMediaType: "application/vnd.example.config+json",
      config: { answer: 42 },
      layers: [
        {
          mediaType: "application/vnd.example.data",
          bytes: layer,
          annotations: { "org.example.name": "data" },
        },
      ],
      annotations: { "org.example.made-by": "a test" },
    });
    const pushed = await client.push(reference, packed);
    const store = new MemoryStore();
    const pulled = await client.pull(reference, store);
    assert.equal(pulled.descriptor, pushed);
    assert.equal(Buffer.from(pulled.bytes), Buffer.from(packed.manifest.bytes));
    const { manifest } = pulled;
    if (!("layers" in manifest)) throw new Error("pulled an index");
    assert.is(manifest.artifactType, "application/vnd.example.thing");
    assert.is(manifest.config.mediaType, "application/vnd.example.config+json");
    assert.equal(manifest.layers[0]?.annotations, { "org.example.name": "data" });
    assert.ok(Buffer.from(store.contents.get(digestOf(layer)) ?? []).equals(layer));
  },
);

registries("a tag resolves to the descriptor, and a digest to itself", async ({ registry, client }) => {
  const packed = packWasm({ bytes: wasm, os: "wasip1" });
  await client.push(`${registry.address}/demo/wasm:v1`, packed);
  const byTag = await client.resolve(`${registry.address}/demo/wasm:v1`);
  assert.equal(byTag, packed.manifest.descriptor);
  assert.equal(await client.resolve(`${registry.address}/demo/wasm@${byTag.digest}`), byTag);
});

registries("an index is pulled with all its images, or with one platform's", async ({ registry, client }) => {
  const image = async (architecture: string) => {
    const layer = await packTarLayer([{ type: "file", path: "etc/arch", bytes: Buffer.from(architecture) }]);
    return packImage({ architecture, os: "linux", layers: [layer] });
  };
  const [amd64, arm64] = [await image("amd64"), await image("arm64")];
  const packed = packIndex({
    manifests: [
      { packed: amd64, platform: { os: "linux", architecture: "amd64" } },
      { packed: arm64, platform: { os: "linux", architecture: "arm64" } },
    ],
  });
  const reference = `${registry.address}/demo/index:v1`;
  await client.push(reference, packed);
  const all = new MemoryStore();
  const pulled = await client.pull(reference, all);
  assert.ok(isIndex(pulled.descriptor.mediaType));
  assert.is(all.contents.size, 1 + 2 + 4);
  const one = new MemoryStore();
  await client.pull(reference, one, { platform: { os: "linux", architecture: "arm64" } });
  assert.ok(one.contents.has(arm64.manifest.descriptor.digest));
  assert.not(one.contents.has(amd64.manifest.descriptor.digest));
});

registries("a second push moves nothing", async ({ registry, client }) => {
  const packed = packArtifact({
    artifactType: "application/x.example",
    layers: [{ mediaType: "application/octet-stream", bytes: randomBytes(1000) }],
  });
  const states: Progress["state"][] = [];
  await client.push(`${registry.address}/demo/twice:v1`, packed);
  await client.push(`${registry.address}/demo/twice:v2`, packed, {
    onProgress: ({ state }) => states.push(state),
  });
  assert.equal(states, ["present", "present", "done"]);
});

registries(
  "a blob is mounted from another repository instead of being sent",
  async ({ registry, client }) => {
    const bytes = randomBytes(50_000);
    const packed = packArtifact({
      artifactType: "application/x.example",
      layers: [{ mediaType: "a/b", bytes }],
    });
    await client.push(`${registry.address}/demo/first:v1`, packed);
    const states: Progress["state"][] = [];
    await client.push(`${registry.address}/demo/second:v1`, packed, {
      mountFrom: "demo/first",
      onProgress: ({ state }) => states.push(state),
    });
    assert.equal(states, ["mounted", "mounted", "done"]);
    assert.not(
      await client.mountBlob(`${registry.address}/demo/third`, {
        digest: digestOf("no such"),
        from: "demo/first",
      }),
    );
  },
);

registries("a blob can be sent in chunks", async ({ registry, client }) => {
  const bytes = randomBytes(100_001);
  const descriptor = { mediaType: "a/b", digest: digestOf(bytes), size: bytes.byteLength };
  const repository = `${registry.address}/demo/chunks`;
  await client.uploadBlob(repository, { descriptor, source: bytes }, { chunkSize: 30_000 });
  assert.ok(await client.blobExists(repository, descriptor));
  const chunks: Uint8Array[] = [];
  for await (const chunk of client.fetchBlob(repository, descriptor)) chunks.push(chunk);
  assert.ok(Buffer.concat(chunks).equals(bytes));
});

registries("content of unknown size is streamed and described afterwards", async ({ registry, client }) => {
  const pieces = [randomBytes(70_000), randomBytes(1), randomBytes(120_000)];
  const whole = Buffer.concat(pieces);
  const repository = `${registry.address}/demo/stream`;
  async function* content() {
    yield* pieces;
  }
  const stream = { mediaType: "application/wasm", content: content() };
  const descriptor = await client.uploadStream(repository, stream, { chunkSize: 64 * 1024 });
  assert.equal(descriptor, {
    mediaType: "application/wasm",
    digest: digestOf(whole),
    size: whole.byteLength,
  });
  assert.ok(await client.blobExists(repository, descriptor));
});

registries("all tags are listed", async ({ registry, client }) => {
  const packed = packWasm({ bytes: wasm, os: "wasip1" });
  for (const tag of ["a", "b", "c", "d", "e"])
    await client.push(`${registry.address}/demo/tags:${tag}`, packed);
  const tags: string[] = [];
  for await (const tag of client.listTags(`${registry.address}/demo/tags`, { pageSize: 2 })) tags.push(tag);
  assert.equal(tags.sort(), ["a", "b", "c", "d", "e"]);
});

registries("what is not there is not_found", async ({ registry, client }) => {
  await rejects(client.resolve(`${registry.address}/demo/none:v1`), "not_found");
  await rejects(client.pull(`${registry.address}/demo/none:v1`, new MemoryStore()), "not_found");
  const absent = { mediaType: "a/b", digest: digestOf("absent"), size: 6 };
  assert.not(await client.blobExists(`${registry.address}/demo/none`, absent));
});

registries("a source that is not what its descriptor says is not stored", async ({ registry, client }) => {
  const repository = `${registry.address}/demo/wrong`;
  const descriptor = { mediaType: "a/b", digest: digestOf("right"), size: 5 };
  await rejects(
    client.uploadBlob(repository, { descriptor, source: Buffer.from("wrong") }),
    "digest_mismatch",
  );
  await rejects(
    client.uploadBlob(repository, { descriptor, source: Buffer.from("longer") }),
    "size_mismatch",
  );
  await rejects(client.uploadBlob(repository, { descriptor, source: Buffer.from("tiny") }), "size_mismatch");
  assert.not(await client.blobExists(repository, descriptor));
});

registries("the CNCF artifact keeps its config and layer media types", async ({ registry, client }) => {
  const reference = `${registry.address}/demo/cncf:v1`;
  await client.push(reference, packWasm({ bytes: wasm, os: "wasip1" }));
  const store = new MemoryStore();
  const { manifest } = await client.pull(reference, store);
  if (!("layers" in manifest)) throw new Error("pulled an index");
  assert.is(manifest.config.mediaType, mediaTypes.wasmConfig);
  assert.equal(
    manifest.layers.map(({ mediaType }) => mediaType),
    [mediaTypes.wasm],
  );
  const config = JSON.parse(Buffer.from(store.contents.get(manifest.config.digest) ?? []).toString());
  assert.equal(config.layerDigests, [digestOf(wasm)]);
  assert.is(config.architecture, "wasm");
  assert.is(config.os, "wasip1");
});

async function rejects(promise: Promise<unknown>, code: string): Promise<void> {
  try {
    await promise;
  } catch (error) {
    assert.is((error as { code?: string }).code, code, String(error));
    return;
  }
  assert.unreachable(`expected ${code}`);
}

if (reason === undefined) registries.run();
else process.stdout.write(`skipped: against Debian's docker-registry: ${reason}\n`);
