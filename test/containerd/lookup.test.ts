import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Containerd, openContainerd } from "../../src/containerd/containerd.ts";
import {
  DocumentCache,
  lookUpTarget,
  type ResolvedImage,
  resolveImage,
} from "../../src/containerd/lookup.ts";
import { TandemError } from "../../src/errors.ts";
import { FakeContainerd, type FakeDescriptor } from "../support/fake-containerd.ts";
import { rejects } from "../support/rejects.ts";

interface Context {
  fake: FakeContainerd;
  containerd: Containerd;
  look: () => Promise<ResolvedImage | undefined>;
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const TAR = "application/vnd.oci.image.layer.v1.tar+gzip";

const lookup = suite<Context>("lookup");

lookup.before.each(async (context) => {
  const fake = await new FakeContainerd().start();
  const containerd = openContainerd(fake.address);
  const options = { namespace: "ns" };
  Object.assign(context, { fake, containerd });
  context.look = async () => {
    const found = await lookUpTarget(containerd, "c", options);
    if (found === undefined) return undefined;
    return resolveImage({ containerd, options, documents: new DocumentCache() }, found.target);
  };
});

lookup.after.each(({ fake, containerd }) => {
  containerd.close();
  fake.stop();
});

function putImage(fake: FakeContainerd, os: string, architecture: string, layerType: string): FakeDescriptor {
  const config = fake.put(CONFIG, { os, architecture });
  const layer = fake.put(layerType, Buffer.from(`${os}/${architecture} layer`));
  return {
    ...fake.put(MANIFEST, { schemaVersion: 2, config, layers: [layer] }),
    platform: { os, architecture },
  };
}

const here = process.arch === "x64" ? "amd64" : process.arch;

lookup("a single manifest is read through to its config", async ({ fake, look }) => {
  fake.run(putImage(fake, "linux", here, TAR));
  const image = await look();
  assert.is(image?.manifestMediaType, MANIFEST);
  assert.equal(image?.contents, {
    kind: "linux",
    config: { mediaType: CONFIG, os: "linux", architecture: here },
  });
});

lookup(
  "of an index, the manifest for this machine is taken and others are not even read",
  async ({ fake, look }) => {
    const other = putImage(fake, "linux", "riscv64", TAR);
    fake.run(fake.put(INDEX, { manifests: [other, putImage(fake, "linux", here, TAR)] }));
    assert.is((await look())?.contents.config.architecture, here);
    assert.not.ok(fake.calls.includes(`content.read ${other.digest}`));
  },
);

lookup("of an index, a manifest for wasm is preferred to the Linux one", async ({ fake, look }) => {
  const wasm = putImage(fake, "wasip1", "wasm", "application/wasm");
  fake.run(fake.put(INDEX, { manifests: [putImage(fake, "linux", here, TAR), wasm] }));
  assert.is((await look())?.contents.kind, "wasm");
});

lookup("manifests of an index that containerd did not pull are passed over", async ({ fake, look }) => {
  const linux = putImage(fake, "linux", here, TAR);
  const wasm = putImage(fake, "wasi", "wasm", "application/wasm");
  fake.run(fake.put(INDEX, { manifests: [linux, wasm] }));
  fake.blobs.delete(linux.digest);
  assert.is((await look())?.contents.kind, "wasm");
  fake.blobs.delete(wasm.digest);
  await rejects(
    look,
    "not_found",
    /no manifest for this platform or wasm is here \(it has linux\/.*, wasi\/wasm\)/,
  );
});

lookup("an index in an index in an index and so on is refused", async ({ fake, look }) => {
  let target = putImage(fake, "linux", here, TAR);
  for (let depth = 0; depth < 5; depth += 1) {
    target = {
      ...fake.put(INDEX, { depth, manifests: [target] }),
      platform: { os: "linux", architecture: here },
    };
  }
  fake.run(target);
  await rejects(look, "invalid_argument", /nested too deeply/);
});

lookup(
  "a container without an image, and one that containerd does not know, have none",
  async ({ fake, look }) => {
    assert.is(await look(), undefined);
    fake.containers.set("ns/c", "");
    assert.is(await look(), undefined);
  },
);

lookup("an image that is gone is not found by its name", async ({ fake, look }) => {
  fake.containers.set("ns/c", "example/gone:1");
  await rejects(look, "not_found", /example\/gone:1/);
});

lookup("a registry that lied about a manifest is caught", async ({ fake, look }) => {
  const manifest = putImage(fake, "linux", here, TAR);
  fake.run(manifest);
  fake.blobs.set(manifest.digest, Buffer.alloc(manifest.size, "x"));
  await rejects(look, "failed_precondition", /content has digest/);
});

lookup("a manifest of more than 4 MiB is not read", async ({ fake, look }) => {
  fake.run({ ...putImage(fake, "linux", here, TAR), size: 5 << 20 });
  await rejects(look, "resource_exhausted", /5242880 bytes/);
});

lookup("a manifest that is not JSON is refused with its digest", async ({ fake, look }) => {
  fake.run(fake.put(MANIFEST, Buffer.from("<html>")));
  await rejects(look, "invalid_argument", /sha256:.*not JSON/);
});

lookup(
  "any JSON as manifest or index gives an image or an error of ours, never another",
  async ({ fake, look }) => {
    const json = fc.oneof(
      fc.jsonValue(),
      fc.record({ config: fc.jsonValue(), layers: fc.jsonValue() }),
      fc.record({ manifests: fc.array(fc.jsonValue()) }),
    );
    await fc.assert(
      fc.asyncProperty(json, fc.constantFrom(MANIFEST, INDEX), async (document, mediaType) => {
        fake.run(fake.put(mediaType, Buffer.from(JSON.stringify(document))));
        try {
          await look();
        } catch (error) {
          assert.instance(error, TandemError);
          assert.is.not((error as TandemError).code, "internal");
        }
      }),
      { numRuns: 100 },
    );
  },
);

lookup.run();
