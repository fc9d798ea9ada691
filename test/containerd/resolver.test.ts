import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { serveResolver } from "../../src/containerd/resolver.ts";
import { resolve } from "../../src/containerd/resolver-client.ts";
import { encodeFrame, FrameDecoder } from "../../src/containerd/resolver-protocol.ts";
import { native } from "../../src/native.ts";
import { FakeContainerd, type FakeDescriptor } from "../support/fake-containerd.ts";
import { rejects } from "../support/rejects.ts";

interface Context {
  fake: FakeContainerd;
  directory: string;
  socket: string;
  abort: AbortController;
  done: Promise<void>;
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const moduleBytes = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const componentBytes = Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);
const request = { namespace: "ns", containerId: "c" };

const resolver = suite<Context>("resolver");

function serve(context: Context, options: { idleMs?: number } = {}): void {
  context.socket = join(context.directory, `resolver-${Date.now()}-${Math.random()}.sock`);
  context.abort = new AbortController();
  context.done = serveResolver({
    listenFd: native.listenStream(context.socket),
    containerdAddress: context.fake.address,
    stateDir: join(context.directory, "state"),
    signal: context.abort.signal,
    ...options,
  });
}

resolver.before.each(async (context) => {
  context.fake = await new FakeContainerd().start();
  context.directory = mkdtempSync(join(tmpdir(), "tandem-resolver-"));
  serve(context);
});

resolver.after.each(async ({ fake, directory, abort, done }) => {
  abort.abort();
  await done;
  fake.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** A CNCF wasm artifact with this layer. */
function artifact(fake: FakeContainerd, bytes: Uint8Array, mediaType = "application/wasm"): FakeDescriptor {
  const layer = fake.put(mediaType, bytes);
  const config = fake.put("application/vnd.wasm.config.v0+json", { architecture: "wasm", os: "wasip1" });
  fake.run(fake.put(MANIFEST, { schemaVersion: 2, config, layers: [layer] }));
  return layer;
}

function reads(fake: FakeContainerd, blob: FakeDescriptor): number {
  return fake.calls.filter((call) => call === `content.read ${blob.digest}`).length;
}

resolver("a wasm artifact is answered with its module as a file", async ({ fake, socket, directory }) => {
  const layer = artifact(fake, moduleBytes);
  const path = join(directory, "state/modules/sha256", layer.digest.slice(7));
  assert.equal(await resolve(socket, request), {
    imageName: "example/app:1",
    manifestMediaType: MANIFEST,
    configMediaType: "application/vnd.wasm.config.v0+json",
    os: "wasip1",
    architecture: "wasm",
    kind: "wasm",
    module: { path, digest: layer.digest, mediaType: "application/wasm", form: "module" },
  });
  assert.equal(readFileSync(path), moduleBytes);
  // While it was read, its blob was kept from the garbage collector; the lease is given back.
  assert.equal(fake.leased, [`content ${layer.digest}`]);
  assert.is(fake.leases.size, 0);
});

resolver("a component is told from a module by its bytes", async ({ fake, socket }) => {
  artifact(fake, componentBytes);
  assert.is((await resolve(socket, request))?.module?.form, "component");
});

resolver("asking again costs two calls to containerd and no blob", async ({ fake, socket }) => {
  artifact(fake, moduleBytes);
  const first = await resolve(socket, request);
  fake.calls.length = 0;
  assert.equal(await resolve(socket, request), first);
  assert.equal(fake.calls, ["containers.get c", "images.get example/app:1"]);
});

resolver("a tag that moved is noticed", async ({ fake, socket }) => {
  artifact(fake, moduleBytes);
  assert.is((await resolve(socket, request))?.module?.form, "module");
  artifact(fake, componentBytes);
  assert.is((await resolve(socket, request))?.module?.form, "component");
});

resolver("eight that ask at once for one blob have it fetched once", async ({ fake, socket }) => {
  const layer = artifact(fake, moduleBytes);
  const answers = await Promise.all(Array.from({ length: 8 }, () => resolve(socket, request)));
  assert.is(new Set(answers.map((image) => image?.module?.path)).size, 1);
  assert.is(reads(fake, layer), 1);
});

resolver("a stored module of the wrong size is fetched again", async ({ fake, socket }) => {
  const layer = artifact(fake, moduleBytes);
  const path = (await resolve(socket, request))?.module?.path ?? "";
  truncateSync(path, 3);
  await resolve(socket, request);
  assert.equal(readFileSync(path), moduleBytes);
  assert.is(reads(fake, layer), 2);
});

resolver(
  "a layer with other bytes than its digest is refused and not stored, and the resolver serves on",
  async (context) => {
    const { fake, socket, directory } = context;
    const layer = artifact(fake, moduleBytes);
    fake.blobs.set(layer.digest, componentBytes);
    await rejects(
      () => resolve(socket, request),
      "failed_precondition",
      /^image example\/app:1: .*content has digest/,
    );
    assert.not.ok(existsSync(join(directory, "state/modules/sha256", layer.digest.slice(7))));
    fake.blobs.set(layer.digest, moduleBytes);
    assert.is((await resolve(socket, request))?.module?.form, "module");
  },
);

resolver(
  "a layer that is text, or no wasm at all, or another form than its media type says, is refused",
  async ({ fake, socket }) => {
    artifact(fake, Buffer.from('(module (func (export "_start")))'));
    await rejects(
      () => resolve(socket, request),
      "invalid_argument",
      /content is WebAssembly text \(\.wat\)/,
    );
    artifact(fake, Buffer.from("#!/bin/sh\n"));
    await rejects(() => resolve(socket, request), "invalid_argument", /content is no wasm binary/);
    artifact(fake, moduleBytes, "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm");
    await rejects(() => resolve(socket, request), "invalid_argument", /content is a module/);
  },
);

resolver("a container without an image is answered with none", async ({ socket }) => {
  assert.is(await resolve(socket, request), undefined);
});

resolver("no resolver at the socket is unavailable", async ({ directory }) => {
  await rejects(() => resolve(join(directory, "nobody.sock"), request), "unavailable", /ENOENT/);
});

resolver("a resolver that ends while it is asked is unavailable", async ({ fake, socket, abort }) => {
  artifact(fake, moduleBytes);
  const held = Promise.withResolvers<void>();
  fake.beforeRead = () => {
    abort.abort();
    return held.promise;
  };
  await rejects(() => resolve(socket, request), "unavailable", /ended without an answer/);
  held.resolve();
});

resolver("containerd gone is unavailable", async ({ fake, socket }) => {
  fake.stop();
  await rejects(() => resolve(socket, request), "unavailable", /Containers\.Get/);
});

resolver("an answer that does not come is given up", async ({ directory }) => {
  const silent = join(directory, "silent.sock");
  const server = createServer(() => undefined);
  await new Promise<void>((done) => server.listen(silent, done));
  await rejects(() => resolve(silent, request, { timeoutMs: 30 }), "deadline_exceeded", /30 ms/);
  server.close();
});

resolver(
  "garbage on the socket is answered with an error and does not end the resolver",
  async ({ fake, socket }) => {
    artifact(fake, moduleBytes);
    await rejects(
      () => resolve(socket, { namespace: "ns", containerId: "" }),
      "invalid_argument",
      /without namespace and containerId/,
    );
    const longer = { namespace: "n".repeat(300_000), containerId: "c" };
    await rejects(() => resolve(socket, longer), "invalid_argument", /frame of 300\d{3} bytes/);
    assert.is((await resolve(socket, request))?.kind, "wasm");
  },
);

resolver("without a question for a while it ends by itself", async (context) => {
  context.abort.abort();
  await context.done;
  serve(context, { idleMs: 20 });
  await context.done;
  await rejects(() => resolve(context.socket, request), "unavailable", /ECONNREFUSED/);
});

resolver("frames survive any cutting of the stream", () => {
  const requests = fc.array(
    fc.record({ namespace: fc.string(), containerId: fc.string() }, { noNullPrototype: true }),
    {
      maxLength: 5,
    },
  );
  fc.assert(
    fc.property(requests, fc.array(fc.nat({ max: 50 })), (messages, cuts) => {
      let stream = Buffer.concat(messages.map(encodeFrame));
      const decoder = new FrameDecoder();
      const decoded: unknown[] = [];
      for (const cut of cuts) {
        decoded.push(...decoder.push(stream.subarray(0, cut)));
        stream = stream.subarray(cut);
      }
      decoded.push(...decoder.push(stream));
      assert.equal(decoded, messages);
    }),
  );
});

resolver.run();
