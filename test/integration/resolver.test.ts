import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { availableGenerations, startContainerd } from "../../scripts/private-containerd/containerd.ts";
import { Namespaces } from "../../src/api/gen/containerd/services/namespaces/v1/namespace_pb.ts";
import { createServiceClient, openChannel } from "../../src/containerd/client.ts";
import { type Containerd as Api, openContainerd } from "../../src/containerd/containerd.ts";
import { readBlob, writeBlob } from "../../src/containerd/content.ts";
import { withLease } from "../../src/containerd/leases.ts";
import { serveResolver } from "../../src/containerd/resolver.ts";
import { resolve } from "../../src/containerd/resolver-client.ts";
import { native } from "../../src/native.ts";
import { rejects } from "../support/rejects.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const resolver = suite("resolver with a real containerd");

/** An artifact whose module takes two read windows, its image and a container of it. Returns the layer. */
async function putArtifact(api: Api, namespace: string) {
  const wasm = Buffer.concat([Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]), randomBytes(9 << 20)]);
  return withLease(api.leases, { namespace, ttlMs: 60_000 }, async (lease) => {
    const put = async (bytes: Buffer, labels: Record<string, string> = {}) => ({
      digest: await writeBlob(api.content, bytes, { namespace, lease, labels }),
      size: bytes.length,
    });
    const layer = { mediaType: "application/wasm", ...(await put(wasm)) };
    const configBytes = Buffer.from(JSON.stringify({ os: "wasip1", architecture: "wasm" }));
    const config = { mediaType: "application/vnd.wasm.config.v0+json", ...(await put(configBytes)) };
    const manifest = await put(Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: [layer] })), {
      "containerd.io/gc.ref.content.0": config.digest,
      "containerd.io/gc.ref.content.1": layer.digest,
    });
    const target = { mediaType: MANIFEST, digest: manifest.digest, size: BigInt(manifest.size) };
    await api.images.create({ image: { name: "example/app:1", target } }, { namespace });
    const spec = {
      typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Spec",
      value: Buffer.from("{}"),
    };
    const container = { id: "c", image: "example/app:1", runtime: { name: "io.containerd.tandem.v1" }, spec };
    await api.containers.create({ container }, { namespace });
    return layer;
  });
}

for (const generation of availableGenerations()) {
  resolver(
    `containerd ${generation}: content is written and read, a container's module is found and stored`,
    async () => {
      await using containerd = await startContainerd({ generation });
      const { address, namespace } = containerd;
      const state = mkdtempSync(join(tmpdir(), "tandem-state-"));
      const api = openContainerd(address);
      const channel = openChannel(address);
      const ending = new AbortController();
      const socket = join(state, "resolver.sock");
      const listenFd = native.listenStream(socket);
      const served = serveResolver({
        listenFd,
        containerdAddress: address,
        stateDir: state,
        signal: ending.signal,
      });
      try {
        await createServiceClient(channel, Namespaces).create(
          { namespace: { name: namespace } },
          { namespace },
        );
        const layer = await putArtifact(api, namespace);
        assert.equal((await api.leases.list({}, { namespace })).leases, []);
        const longer = { ...layer, size: layer.size + 1 };
        const read = () => readBlob(api.content, longer, { namespace, maxBytes: 1 << 30 });
        await rejects(read, "failed_precondition", new RegExp(`content has ${layer.size}`));
        const module = (await resolve(socket, { namespace, containerId: "c" }))?.module;
        assert.is(module?.digest, layer.digest);
        assert.is(module?.form, "module");
        assert.is(await resolve(socket, { namespace, containerId: "nobody" }), undefined);
        await containerd.restart();
        assert.is((await resolve(socket, { namespace, containerId: "c" }))?.module?.path, module?.path);
        await api.images.delete({ name: "example/app:1" }, { namespace });
        await rejects(() => resolve(socket, { namespace, containerId: "c" }), "not_found", /example\/app:1/);
      } finally {
        ending.abort();
        await served;
        channel.close();
        api.close();
        rmSync(state, { recursive: true, force: true });
      }
    },
  );
}

resolver.run();
