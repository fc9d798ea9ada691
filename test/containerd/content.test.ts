import { randomBytes } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Containerd, openContainerd } from "../../src/containerd/containerd.ts";
import { readBlob, writeBlob } from "../../src/containerd/content.ts";
import { withLease } from "../../src/containerd/leases.ts";
import { digestOf, FakeContainerd } from "../support/fake-containerd.ts";
import { rejects } from "../support/rejects.ts";

interface Context {
  fake: FakeContainerd;
  containerd: Containerd;
}

const content = suite<Context>("content");
const options = { namespace: "ns", maxBytes: 64 * 1024 * 1024 };

content.before.each(async (context) => {
  context.fake = await new FakeContainerd().start();
  context.containerd = openContainerd(context.fake.address);
});

content.after.each(({ fake, containerd }) => {
  containerd.close();
  fake.stop();
});

content("a blob bigger than a read window and than a message arrives whole", async ({ fake, containerd }) => {
  const bytes = randomBytes(19 * 1024 * 1024 + 3);
  const blob = fake.put("application/wasm", bytes);
  assert.is(Buffer.compare(await readBlob(containerd.content, blob, options), bytes), 0);
  assert.is(fake.calls.length, 3);
});

content("an empty blob is read", async ({ fake, containerd }) => {
  const blob = fake.put("application/wasm", new Uint8Array());
  assert.is((await readBlob(containerd.content, blob, options)).length, 0);
});

content("bytes with another digest are refused", async ({ fake, containerd }) => {
  const blob = fake.put("application/wasm", Buffer.from("the real one"));
  fake.blobs.set(blob.digest, Buffer.from("the fake one"));
  await rejects(
    () => readBlob(containerd.content, blob, options),
    "failed_precondition",
    /content has digest sha256:/,
  );
});

content("a blob shorter or longer than its descriptor says is refused", async ({ fake, containerd }) => {
  const blob = fake.put("application/wasm", Buffer.from("twelve bytes"));
  const read = (size: number) => readBlob(containerd.content, { ...blob, size }, options);
  await rejects(() => read(13), "failed_precondition", /descriptor says 13 bytes, content has 12/);
  await rejects(() => read(11), "failed_precondition", /content has digest/);
});

content("a blob over the limit is not even asked for", async ({ fake, containerd }) => {
  const blob = fake.put("application/wasm", randomBytes(100));
  await rejects(
    () => readBlob(containerd.content, blob, { ...options, maxBytes: 99 }),
    "resource_exhausted",
    /100 bytes/,
  );
  assert.is(fake.calls.length, 0);
});

content("a blob that is not there is not found", async ({ containerd }) => {
  const missing = { digest: digestOf(Buffer.from("nowhere")), size: 7 };
  await rejects(
    () => readBlob(containerd.content, missing, options),
    "not_found",
    /content sha256:.*not found/,
  );
});

content("a written blob has its labels and lease, and can be read", async ({ fake, containerd }) => {
  const bytes = randomBytes(5 * 1024 * 1024);
  const digest = await writeBlob(containerd.content, bytes, {
    namespace: "ns",
    lease: "l",
    labels: { a: "b" },
  });
  assert.equal(fake.written, [{ labels: { a: "b" }, lease: "l" }]);
  assert.is(
    Buffer.compare(await readBlob(containerd.content, { digest, size: bytes.length }, options), bytes),
    0,
  );
});

content("writing a blob that is there already succeeds and writes nothing", async ({ fake, containerd }) => {
  const bytes = Buffer.from("there");
  const { digest } = fake.put("x", bytes);
  assert.is(await writeBlob(containerd.content, bytes, { namespace: "ns" }), digest);
  assert.is(fake.written.length, 0);
});

content(
  "a lease expires by itself and is given back, also when its use fails",
  async ({ fake, containerd }) => {
    const failing = withLease(containerd.leases, { namespace: "ns", ttlMs: 60_000 }, (lease) => {
      const expire = fake.leases.get(lease)?.["containerd.io/gc.expire"] ?? "";
      assert.ok(Date.parse(expire) > Date.now());
      return Promise.reject(new Error("use failed"));
    });
    const error: unknown = await failing.catch((thrown: unknown) => thrown);
    assert.match(String(error), /use failed/);
    assert.is(fake.leases.size, 0);
  },
);

content.run();
