import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, digestOf, MemoryStore, mediaTypes, packArtifact } from "../src/index.ts";
import { collect, fakeRegistry, impatient, rejects, sendForever } from "./fake-registry.ts";

const hostile = suite("against a registry that lies");
const client = new Client({ retry: impatient });

const content = Buffer.from("the content that was asked for");
const descriptor = { mediaType: "a/b", digest: digestOf(content), size: content.byteLength };
const packed = packArtifact({ artifactType: "a/b", layers: [{ mediaType: "a/b", bytes: content }] });
const manifestType = mediaTypes.ociManifest;

const lies: readonly (readonly [string, string, Record<string, string>, string | Buffer])[] = [
  ["another blob", "digest_mismatch", {}, "the content that was not asked"],
  ["a shorter blob", "size_mismatch", { "transfer-encoding": "chunked" }, "short"],
  ["a longer blob", "size_mismatch", { "transfer-encoding": "chunked" }, `${content} and more`],
  ["a blob whose length it announces wrongly", "size_mismatch", { "content-length": "5" }, "short"],
];

for (const [what, code, headers, body] of lies) {
  hostile(`${what} is not taken for the one asked for`, async () => {
    await using registry = await fakeRegistry(
      (_request, response) => void response.writeHead(200, headers).end(body),
    );
    await rejects(collect(client.fetchBlob(`${registry.address}/a`, descriptor)), code);
  });
}

hostile("an endless blob is cut off at its size", async () => {
  await using registry = await fakeRegistry((_request, response) => {
    response.writeHead(200);
    sendForever(response);
  });
  let received = 0;
  const read = async () => {
    for await (const chunk of client.fetchBlob(`${registry.address}/a`, descriptor))
      received += chunk.byteLength;
  };
  await rejects(read(), "size_mismatch");
  assert.ok(received <= descriptor.size);
});

hostile("an endless manifest, tag list or error page is cut off", async () => {
  await using registry = await fakeRegistry((request, response) => {
    response.writeHead(request.url?.includes("broken") ? 400 : 200, { "content-type": manifestType });
    sendForever(response);
  });
  await rejects(client.fetchManifest(`${registry.address}/a:t`), "too_large");
  await rejects(client.listTags(`${registry.address}/a`).next(), "too_large");
  await rejects(client.fetchManifest(`${registry.address}/broken:t`), "rejected");
});

const manifests: readonly (readonly [string, string, Record<string, string>, string | Uint8Array])[] = [
  ["under another media type", "media_type_mismatch", { "content-type": "text/html" }, packed.manifest.bytes],
  ["without a media type", "media_type_mismatch", {}, packed.manifest.bytes],
  [
    "that contradicts its media type",
    "media_type_mismatch",
    { "content-type": mediaTypes.ociIndex },
    packed.manifest.bytes,
  ],
  [
    "that contradicts its digest header",
    "digest_mismatch",
    { "docker-content-digest": digestOf("other") },
    packed.manifest.bytes,
  ],
  ["that is no JSON", "protocol", {}, "<html>"],
  ["that is no object", "protocol", {}, "[]"],
  ["of schema version 1", "protocol", {}, '{"schemaVersion":1}'],
  [
    "that is an index as well",
    "protocol",
    {},
    manifestWith({ manifests: [], layers: [], config: descriptor }),
  ],
  [
    "with a digest that is a path",
    "protocol",
    {},
    manifestWith({ layers: [], config: { ...descriptor, digest: "../../x" } }),
  ],
  [
    "with a negative size",
    "protocol",
    {},
    manifestWith({ layers: [{ ...descriptor, size: -1 }], config: descriptor }),
  ],
  [
    "with layers that are no descriptors",
    "protocol",
    {},
    manifestWith({ layers: [null], config: descriptor }),
  ],
];

for (const [what, code, headers, body] of manifests) {
  hostile(`a manifest ${what} is refused`, async () => {
    const type: Record<string, string> = what.startsWith("without") ? {} : { "content-type": manifestType };
    await using registry = await fakeRegistry((_request, response) => {
      response.writeHead(200, { ...type, ...headers }).end(body);
    });
    const store = new MemoryStore();
    await rejects(client.pull(`${registry.address}/a:t`, store), code);
    assert.is(store.contents.size, 0);
  });
}

hostile("a digest header that is a path is refused", async () => {
  await using registry = await fakeRegistry((_request, response) => {
    response.writeHead(200, { "content-type": manifestType, "docker-content-digest": "../../x" }).end();
  });
  await rejects(client.resolve(`${registry.address}/a:t`), "protocol");
});

hostile("a manifest asked for by digest has to have it", async () => {
  await using registry = await fakeRegistry((_request, response) => {
    response.writeHead(200, { "content-type": manifestType }).end(packed.manifest.bytes);
  });
  await client.fetchManifest(`${registry.address}/a@${packed.manifest.descriptor.digest}`);
  await rejects(client.fetchManifest(`${registry.address}/a@${digestOf("other")}`), "digest_mismatch");
  await rejects(client.resolve(`${registry.address}/a@${digestOf("other")}`), "digest_mismatch");
});

hostile("a blob larger than the caller wants is not even asked for", async () => {
  const huge = manifestWith({
    config: descriptor,
    layers: [{ ...descriptor, digest: digestOf("huge"), size: 10 ** 12 }],
  });
  await using registry = await fakeRegistry((request, response) => {
    if (request.url?.includes("/manifests/"))
      response.writeHead(200, { "content-type": manifestType }).end(huge);
    else response.writeHead(200).end(content);
  });
  await rejects(
    client.pull(`${registry.address}/a:t`, new MemoryStore(), { maxBlobSize: 10 ** 9 }),
    "too_large",
  );
  assert.not(registry.seen.some(({ url }) => url.includes(digestOf("huge"))));
});

hostile("an upload that is stored under another digest is an error", async () => {
  await using registry = await fakeRegistry((request, response) => {
    if (request.method === "HEAD") response.writeHead(404).end();
    else if (request.method === "POST") response.writeHead(202, { location: "/upload" }).end();
    else response.writeHead(201, { "docker-content-digest": digestOf("other") }).end();
  });
  const { address } = registry;
  await rejects(client.uploadBlob(`${address}/a`, { descriptor, source: content }), "digest_mismatch");
  await rejects(client.pushManifest(`${address}/a:t`, packed.manifest), "digest_mismatch");
});

hostile("an upload that loses its place is an error", async () => {
  await using registry = await fakeRegistry((request, response) => {
    if (request.method === "POST") response.writeHead(202, { location: "/upload" }).end();
    else response.writeHead(202, { location: "/upload", range: "0-1" }).end();
  });
  const upload = client.uploadBlob(
    `${registry.address}/a`,
    { descriptor, source: content },
    { chunkSize: 10 },
  );
  await rejects(upload, "protocol");
});

hostile("an upload without a location is an error", async () => {
  await using registry = await fakeRegistry((_request, response) => void response.writeHead(202).end());
  await rejects(client.uploadBlob(`${registry.address}/a`, { descriptor, source: content }), "protocol");
});

hostile("tag pages that go round, or lead elsewhere, end", async () => {
  for (const next of ["/v2/a/tags/list", "http://127.0.0.1:1/v2/a/tags/list"]) {
    await using registry = await fakeRegistry((_request, response) => {
      response.writeHead(200, { link: `<${next}>; rel="next"` }).end('{"tags":["t"]}');
    });
    const list = async () => {
      for await (const _tag of client.listTags(`${registry.address}/a`));
    };
    await rejects(list(), "protocol");
  }
});

hostile("tags are read over all pages", async () => {
  await using registry = await fakeRegistry((request, response) => {
    const last = request.url?.includes("last=b");
    const link = last ? {} : { link: '</v2/a/tags/list?n=2&last=b>; rel="next"' };
    response.writeHead(200, link).end(JSON.stringify({ name: "a", tags: last ? ["c"] : ["a", "b"] }));
  });
  const tags: string[] = [];
  for await (const tag of client.listTags(`${registry.address}/a`, { pageSize: 2 })) tags.push(tag);
  assert.equal(tags, ["a", "b", "c"]);
});

hostile("an error says what the registry said, without its control characters", async () => {
  await using registry = await fakeRegistry((_request, response) => {
    response
      .writeHead(403)
      .end(JSON.stringify({ errors: [{ code: "DENIED", message: "no\u001b[31m way" }] }));
  });
  const error = await rejects(
    client.resolve(`${registry.address}/a:t`).catch(() => client.fetchManifest(`${registry.address}/a:t`)),
    "denied",
  );
  assert.match(error.message, "403 DENIED: no [31m way");
});

function manifestWith(members: object): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: manifestType, ...members });
}

hostile.run();
