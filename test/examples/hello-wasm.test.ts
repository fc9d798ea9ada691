import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf, mediaTypes } from "oras-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { build, buildModule, examples } from "../../examples/hello-wasm/build.ts";
import { bytesOf, manifestOf, membersOf } from "./contents.ts";
import { type Finished, runNode } from "./run-node.ts";

const hello = suite<{ directory: string; module: string }>("example hello-wasm");

hello.before(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), "tandem-hello-"));
  context.module = join(context.directory, "hello.wasm");
  await writeFile(context.module, await buildModule());
});
hello.after(async (context) => {
  await rm(context.directory, { recursive: true, force: true });
});

/** The magic number, version 1, layer 0. */
const coreModule = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

const host = `
  import { readFileSync } from "node:fs";
  import { WASI } from "node:wasi";
  const [path, directory, ...args] = process.argv.slice(1);
  const wasi = new WASI({ version: "preview1", args: ["hello.wasm", ...args], env: { COLOUR: "blue" }, preopens: { "/": directory } });
  const module = new WebAssembly.Module(readFileSync(path));
  process.exitCode = wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
`;

hello("greets with its arguments and environment", async ({ module, directory }) => {
  const { status, stdout } = await runHello(module, directory, ["a", "b c"]);
  assert.is(status, 0);
  assert.is(stdout, "hello from wasm\narg hello.wasm\narg a\narg b c\nenv COLOUR=blue\n");
});

hello("exits with the code it is told", async ({ module, directory }) => {
  assert.is((await runHello(module, directory, ["exit", "42"])).status, 42);
});

hello("copies stdin to stdout", async ({ module, directory }) => {
  assert.is((await runHello(module, directory, ["cat"], "one\ntwo\n")).stdout, "one\ntwo\n");
});

hello("writes, reads and lists files below its preopen", async ({ module, directory }) => {
  assert.is((await runHello(module, directory, ["write", "/note", "text"])).stdout, "wrote /note\n");
  assert.is(await readFile(join(directory, "note"), "utf8"), "text");
  assert.is((await runHello(module, directory, ["read", "/note"])).stdout, "text");
  const listed = (await runHello(module, directory, ["list", "/"])).stdout.split("\n");
  assert.ok(listed.includes("note") && listed.includes("hello.wasm"));
});

hello("names the file it cannot read on stderr", async ({ module, directory }) => {
  const { status, stderr } = await runHello(module, directory, ["read", "/none"]);
  assert.is(status, 1);
  assert.match(stderr, "hello: /none: No such file or directory");
});

hello("sleeps, takes memory, writes to stderr and traps on demand", async ({ module, directory }) => {
  assert.is((await runHello(module, directory, ["sleep", "0.01"])).stdout, "sleeping\nawake\n");
  assert.is((await runHello(module, directory, ["grow", "8"])).stdout, "took 8 MiB\n");
  assert.is((await runHello(module, directory, ["stderr", "oops"])).stderr, "oops\n");
  assert.match((await runHello(module, directory, ["trap"])).stderr, "unreachable");
});

hello("serve without a socket says so", async ({ module, directory }) => {
  const { status, stderr } = await runHello(module, directory, ["serve"]);
  assert.is(status, 1);
  assert.match(stderr, "no listening socket");
});

hello("the CNCF artifact has the module as its only layer", async () => {
  const { packed } = await build();
  const manifest = manifestOf(packed);
  assert.is(manifest.config.mediaType, mediaTypes.wasmConfig);
  assert.equal(
    manifest.layers.map(({ mediaType }) => mediaType),
    [mediaTypes.wasm],
  );
  const module = await bytesOf(packed, manifest.layers[0]);
  assert.equal([...module.subarray(0, 8)], coreModule);
  const config = JSON.parse((await bytesOf(packed, manifest.config)).toString());
  assert.equal(config.layerDigests, [digestOf(module)]);
  assert.is(config.os, "wasip1");
});

hello("the variants differ in their layers, and only tar layers have a diff id", async () => {
  const expected: Record<string, readonly string[]> = {
    "hello-wasm": [mediaTypes.wasm],
    "hello-wasm-layer": [mediaTypes.wasm],
    "hello-wasm-tar": [mediaTypes.ociLayerGzip],
    "hello-wasm-mixed": [mediaTypes.ociLayerGzip, mediaTypes.wasm],
  };
  for (const example of examples) {
    const { packed, name } = await example.build();
    const { config, layers } = manifestOf(packed);
    assert.is(name, `tandem/${example.name}:latest`);
    assert.equal(
      layers.map(({ mediaType }) => mediaType),
      expected[example.name],
      example.name,
    );
    if (config.mediaType !== mediaTypes.ociConfig) continue;
    const { rootfs } = JSON.parse((await bytesOf(packed, config)).toString());
    const tars = layers.filter(({ mediaType }) => mediaType === mediaTypes.ociLayerGzip);
    assert.is(rootfs.diff_ids.length, tars.length, example.name);
  }
});

hello("the tar variant has the module at the path of its entrypoint", async () => {
  const tar = examples.find(({ name }) => name === "hello-wasm-tar");
  if (tar === undefined) throw new Error("no such variant");
  const { packed } = await tar.build();
  const { config, layers } = manifestOf(packed);
  const { config: runtime } = JSON.parse((await bytesOf(packed, config)).toString());
  assert.equal(runtime.Entrypoint, ["/hello-wasm.wasm"]);
  const member = (await membersOf(await bytesOf(packed, layers[0]))).get("hello-wasm.wasm");
  assert.is(member?.mode, 0o755);
  assert.equal([...(member?.bytes.subarray(0, 8) ?? [])], coreModule);
});

hello("building again gives the same digest", async () => {
  const [first, second] = [await build(), await build()];
  assert.equal(first.packed.manifest.descriptor, second.packed.manifest.descriptor);
});

async function runHello(
  module: string,
  directory: string,
  args: readonly string[],
  stdin?: string,
): Promise<Finished> {
  return await runNode(host, [module, directory, ...args], stdin);
}

hello.run();
