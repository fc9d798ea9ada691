import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Client, MemoryStore } from "oras-js";
import { extract } from "tar-stream";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { allExamples } from "../../examples/build.ts";
import { cached } from "../../examples/cache.ts";
import { missingRegistry, startRegistry } from "../../src/oras-js/test/debian-registry.ts";
import { runProgram } from "./run-node.ts";

const building = suite<{ directory: string }>("building the examples");
const command = fileURLToPath(new URL("../../examples/build.ts", import.meta.url));

building.before(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), "tandem-build-"));
});
building.after(async (context) => {
  await rm(context.directory, { recursive: true, force: true });
});

building("names are unique", () => {
  assert.is(new Set(allExamples.map(({ name }) => name)).size, allExamples.length);
});

building("a product is made once for the same inputs, and again for others", async ({ directory }) => {
  let made = 0;
  const make = async () => Buffer.from(`product ${++made}`);
  const recipe = (inputs: readonly string[]) => cached({ name: "product", inputs, make }, directory);
  assert.is(Buffer.from(await recipe(["a", "b"])).toString(), "product 1");
  assert.is(Buffer.from(await recipe(["a", "b"])).toString(), "product 1");
  assert.is(Buffer.from(await recipe(["ab", ""])).toString(), "product 2");
});

building("a recipe that fails leaves nothing behind", async ({ directory }) => {
  const cacheDir = join(directory, "failing");
  const make = async () => await Promise.reject<Uint8Array>(new Error("no compiler"));
  const failure = await cached({ name: "product", inputs: ["x"], make }, cacheDir).catch(
    ({ message }) => message,
  );
  assert.is(failure, "no compiler");
  assert.equal(await readdir(cacheDir).catch(() => []), []);
});

building("the command writes an OCI layout that holds what its index names", async ({ directory }) => {
  const out = join(directory, "out");
  const { status, stderr } = await runProgram(process.execPath, [command, "--out", out, "hello-wasm"]);
  assert.is(status, 0, stderr);
  const files = await tarFiles(await readFile(join(out, "hello-wasm.tar")));
  const index = JSON.parse(files.get("index.json") ?? "");
  const [entry] = index.manifests;
  assert.is(entry.annotations["io.containerd.image.name"], "localhost/tandem/hello-wasm:latest");
  const manifest = JSON.parse(files.get(`blobs/${entry.digest.replace(":", "/")}`) ?? "");
  for (const { digest } of [manifest.config, ...manifest.layers]) {
    assert.ok(files.has(`blobs/${digest.replace(":", "/")}`), digest);
  }
});

building("the command pushes to a registry", async () => {
  const reason = missingRegistry();
  if (reason !== undefined) {
    process.stdout.write(`skipped: ${reason}\n`);
    return;
  }
  await using registry = await startRegistry();
  const args = [command, "--push", registry.address, "hello-wasm", "hello-linux"];
  const { status, stderr } = await runProgram(process.execPath, args);
  assert.is(status, 0, stderr);
  const pulled = await new Client().pull(`${registry.address}/tandem/hello-wasm:latest`, new MemoryStore());
  const built = await allExamples.find(({ name }) => name === "hello-wasm")?.build();
  assert.is(pulled.descriptor.digest, built?.packed.manifest.descriptor.digest);
});

building("the command refuses a name it does not know", async () => {
  const { status, stderr } = await runProgram(process.execPath, [command, "hello-cobol"]);
  assert.is(status, 1);
  assert.match(stderr, "no such example: hello-cobol");
});

async function tarFiles(bytes: Uint8Array): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const tar = extract();
  Readable.from([bytes]).pipe(tar);
  for await (const entry of tar) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    files.set(entry.header.name, Buffer.concat(chunks).toString());
  }
  return files;
}

building.run();
