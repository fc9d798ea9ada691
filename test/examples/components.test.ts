import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { transpileBytes, writeFiles } from "@bytecodealliance/jco-transpile";
import { mediaTypes } from "oras-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  build as buildHello,
  buildComponent as buildHelloComponent,
} from "../../examples/hello-component/build.ts";
import {
  build as buildFunction,
  buildComponent as buildFunctionComponent,
} from "../../examples/http-function/build.ts";
import { bytesOf, manifestOf } from "./contents.ts";
import { runNode, startNode } from "./run-node.ts";

// Inside the repo, so that the generated code finds preview2-shim.
const cache = fileURLToPath(new URL("../../.cache", import.meta.url));
const components = suite<{ directory: string }>("example components");

components.before(async (context) => {
  await mkdir(cache, { recursive: true });
  context.directory = await mkdtemp(join(cache, "components-"));
});
components.after(async (context) => {
  await rm(context.directory, { recursive: true, force: true });
});

components("hello-component runs as wasi:cli/command and writes its greeting", async ({ directory }) => {
  const url = await transpiled(directory, "hello", await buildHelloComponent());
  const { status, stdout, stderr } = await runNode(
    `import { run } from ${JSON.stringify(url)}; run.run(); process.exit(0);`,
    ["one", "two"],
  );
  assert.is(stderr, "");
  assert.is(status, 0);
  assert.match(stdout, /^hello from wasm\n/);
});

components("http-function answers one request after another in the same instance", async ({ directory }) => {
  const url = await transpiled(directory, "function", await buildFunctionComponent());
  await using server = await startNode(serve(url), /port \d+\n/);
  const origin = `http://127.0.0.1:${/port (\d+)/.exec(server.output())?.[1]}`;
  assert.equal(await ask(`${origin}/`), { status: 200, body: "hello from a component\n" });
  assert.equal(await ask(`${origin}/none`), { status: 404, body: "not found\n" });
  assert.equal(await ask(`${origin}/fibonacci?n=10`), { status: 200, body: "55\n" });
  const large = "x".repeat(100_000);
  assert.equal(await ask(`${origin}/echo`, { method: "POST", body: large }), { status: 200, body: large });
  assert.match(server.output(), "POST /echo");
});

components("both are CNCF artifacts for wasip2 that say what they export", async () => {
  for (const [build, world] of [
    [buildHello, "wasi:cli/run"],
    [buildFunction, "wasi:http/incoming-handler"],
  ] as const) {
    const { packed, platform } = await build();
    const { config, layers } = manifestOf(packed);
    assert.equal(platform, { os: "wasip2", architecture: "wasm" });
    assert.is(config.mediaType, mediaTypes.wasmConfig);
    const bytes = await bytesOf(packed, layers[0]);
    assert.equal(
      [...bytes.subarray(0, 8)],
      [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0],
      "a component, not a module",
    );
    const { component, os } = JSON.parse((await bytesOf(packed, config)).toString());
    assert.is(os, "wasip2");
    assert.ok(component.exports[0].startsWith(world));
  }
});

/** Writes the component as JavaScript and returns the url to import. */
async function transpiled(directory: string, name: string, component: Uint8Array): Promise<string> {
  const { files } = await transpileBytes(component, { name, emitTypescriptDeclarations: false });
  await writeFiles(files, { baseDir: join(directory, name) });
  return new URL(`file://${join(directory, name, `${name}.js`)}`).href;
}

async function ask(url: string, init: RequestInit = {}): Promise<{ status: number; body: string }> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) });
  return { status: response.status, body: await response.text() };
}

/** A host for one component, in a process of its own because it blocks while it answers. */
function serve(url: string): string {
  return `
    import { HTTPServer } from "@bytecodealliance/preview2-shim/http";
    import { incomingHandler } from ${JSON.stringify(url)};
    const server = new HTTPServer(incomingHandler);
    server.listen(0, "127.0.0.1");
    console.log("port " + server.address().port);
  `;
}

components.run();
