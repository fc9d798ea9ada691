/**
 * What cannot run says why in one line, leaves nothing behind, and its shim serves on: each case is a second container in a
 * pod whose first one must not notice.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { type Packed, writeLayoutTar } from "oras-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildModule } from "../../examples/hello-wasm/build.ts";
import { packWasmLayer, wasmPlatform } from "../../examples/wasm-image.ts";
import { run, runOk } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { OptionsSchema } from "../../src/api/gen/runtimeoptions/v1/options_pb.ts";
import { TandemError } from "../../src/errors.ts";
import type { ContainerOptions, TestContainer } from "./lifecycle/container.ts";
import { thorough } from "./lifecycle/generations.ts";
import { buildGuest } from "./lifecycle/guest.ts";
import { isAlive, parentOf } from "./lifecycle/proc.ts";
import { type Runtime, tandemLinux, tandemWasm } from "./lifecycle/runtimes.ts";
import { Scene } from "./lifecycle/scene.ts";
import { specOf } from "./lifecycle/spec.ts";

const annotations = { "io.kubernetes.cri.sandbox-id": "pod" };

type Bad = Partial<Omit<ContainerOptions, "id" | "runtime">>;

/** How it ended: refused by Create or Start, or by an exit of its own. */
interface Outcome {
  readonly refused?: string;
  readonly status?: number;
  readonly stderr?: string;
}

let scene: Scene;
let scratch: string;
let anchor: TestContainer;
let shim: number;
let baseline: readonly string[];

const bad = suite("bad input");

bad.before(async () => {
  scratch = mkdtempSync("/tmp/tb-");
  // Too small for any module: the cache's disk is full from the start.
  await runOk("mount", ["-t", "tmpfs", "-o", "size=32k", "tmpfs", scratch]);
  mkdirSync(join(scratch, "state"));
  scene = await Scene.open({
    generation: thorough,
    environment: { TANDEM_STATE_DIR: join(scratch, "state") },
  });
  anchor = scene.container(tandemLinux, { args: tandemLinux.programs.sleep, annotations });
  shim = parentOf(await anchor.run());
  await anchor.stdout.shows("sleeping\n");
  baseline = scene.containerd.leftovers();
});

bad.after(async () => {
  await anchor.remove();
  await scene.containerd.assertClean();
  await scene[Symbol.asyncDispose]();
  await runOk("umount", [scratch]);
  rmSync(scratch, { recursive: true });
});

async function attempt(runtime: Runtime, options: Bad): Promise<Outcome> {
  const { args = runtime.programs.exit(0), ...rest } = options;
  await using c = scene.container(runtime, { args, annotations, ...rest });
  let outcome: Outcome;
  try {
    await c.run();
    outcome = { status: await c.wait(), stderr: await c.stderr.end() };
  } catch (error) {
    if (!(error instanceof TandemError)) throw error;
    outcome = { refused: error.message };
  }
  await c.remove();
  return outcome;
}

/** Refused, or ended with this status: in either case with one line that says why. */
async function failsWith(runtime: Runtime, options: Bad, reason: RegExp, status = 126): Promise<void> {
  const outcome = await attempt(runtime, options);
  const line = outcome.refused ?? outcome.stderr ?? "";
  if (outcome.refused === undefined) assert.is(outcome.status, status, line);
  assert.ok(reason.test(line), `${JSON.stringify(line)} does not say ${reason}`);
  assert.is(line.trimEnd().split("\n").length, 1, line);
  await nothingHappened();
}

async function nothingHappened(): Promise<void> {
  assert.ok(isAlive(shim), "the shim is still there");
  assert.is(await anchor.status(), "RUNNING");
  await waitFor(() => scene.containerd.leftovers().length <= baseline.length, 5000, "nothing left").catch(
    () => assert.equal(scene.containerd.leftovers(), baseline),
  );
  assert.is((await anchor.execToEnd("check", tandemLinux.programs.exit(12))).status, 12);
  assert.equal(await attempt(tandemWasm, { args: tandemWasm.programs.exit(13) }), { status: 13, stderr: "" });
}

/** A rootfs made of nothing but these files. */
function rootfsOf(name: string, files: Readonly<Record<string, Uint8Array>>): Bad {
  const directory = join(scene.containerd.directory, "rootfs", name);
  mkdirSync(directory, { recursive: true });
  for (const [path, bytes] of Object.entries(files))
    writeFileSync(join(directory, path), bytes, { mode: 0o755 });
  return { rootfs: [{ type: "bind", source: directory, options: ["rbind", "rw"] }] };
}

const wasmHead = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

bad("no module: the entrypoint is not there", () =>
  failsWith(tandemWasm, { args: ["/missing.wasm"] }, /\/missing\.wasm.*no such file/),
);

bad("no arguments at all", () => failsWith(tandemLinux, { args: [] }, /args/));

bad("an entrypoint that is neither wasm nor a program", () =>
  failsWith(tandemWasm, { ...rootfsOf("text", { app: Buffer.from("hello\n") }), args: ["/app"] }, /\/app/),
);

bad("a truncated module", async () => {
  const whole = await buildModule();
  const rootfs = rootfsOf("truncated", { "app.wasm": whole.subarray(0, whole.length / 2) });
  await failsWith(tandemWasm, { ...rootfs, args: ["/app.wasm"] }, /compil|truncat|end/i);
});

bad("a module that ends within its head", () =>
  failsWith(
    tandemWasm,
    { ...rootfsOf("head", { "app.wasm": wasmHead.subarray(0, 6) }), args: ["/app.wasm"] },
    /app\.wasm|module|truncated/,
  ),
);

bad("a module without an entry", () =>
  failsWith(
    tandemWasm,
    { ...rootfsOf("empty", { "app.wasm": wasmHead }), args: ["/app.wasm"] },
    /_start/,
    127,
  ),
);

bad("a component with an import that nobody grants", async () => {
  const rootfs = rootfsOf("foreign", { "app.wasm": buildGuest("foreign", scene.containerd.directory) });
  await runOk("mount", ["-o", "remount,size=8m", scratch]);
  try {
    await failsWith(tandemWasm, { ...rootfs, args: ["/app.wasm"] }, /acme:anvil\/drop/);
  } finally {
    rmSync(join(scratch, "state"), { recursive: true });
    mkdirSync(join(scratch, "state"));
    await runOk("mount", ["-o", "remount,size=32k", scratch]);
  }
});

/** A spec with one thing wrong. */
function specWith(change: (spec: Record<string, unknown> & { process: object; linux: object }) => void): Bad {
  const spec = specOf(scene.containerd.namespace, "bad-spec", { args: ["/bin/true"], annotations });
  change(spec as never);
  return { spec };
}

const wrongSpecs: Readonly<Record<string, [(spec: Record<string, object>) => unknown, RegExp]>> = {
  "a process that is none": [(spec) => delete spec["process"], /process/],
  "arguments that are no list": [
    (spec) => Object.assign(spec["process"] ?? {}, { args: 7 }),
    /process\.args/,
  ],
  "a namespace that Linux does not have": [
    (spec) => Object.assign(spec["linux"] ?? {}, { namespaces: [{ type: "parallel" }] }),
    /namespaces\[0\]\.type/,
  ],
  "a namespace path that is not there": [
    (spec) => {
      const namespaces = ["mount", "uts", "pid"].map((type) => ({ type }));
      Object.assign(spec["linux"] ?? {}, {
        namespaces: [...namespaces, { type: "network", path: "/no/such/ns" }],
      });
    },
    /\/no\/such\/ns/,
  ],
  "a mount of an unknown type": [
    (spec) => Object.assign(spec, { mounts: [{ destination: "/x", type: "nosuchfs", source: "x" }] }),
    /\/x.*nosuchfs|nosuchfs.*\/x|\/x/,
  ],
  "a bind of something that is not there": [
    (spec) =>
      Object.assign(spec, {
        mounts: [{ destination: "/x", type: "bind", source: "/no/such", options: ["bind"] }],
      }),
    /\/no\/such/,
  ],
  "a rlimit that Linux does not have": [
    (spec) => Object.assign(spec["process"] ?? {}, { rlimits: [{ type: "RLIMIT_LUCK", hard: 1, soft: 1 }] }),
    /RLIMIT_LUCK/,
  ],
};
for (const [name, [change, reason]] of Object.entries(wrongSpecs))
  bad(`config.json with ${name}`, () => failsWith(tandemLinux, specWith(change as never), reason));

const wrongRootfs: Readonly<Record<string, [NonNullable<Bad["rootfs"]>[number], RegExp]>> = {
  "an overlay whose layer is not there": [
    { type: "overlay", source: "overlay", options: ["lowerdir=/no/such/layer"] },
    /mount.*(overlay|rootfs)/,
  ],
  "a file system that the kernel does not have": [{ type: "nosuchfs", source: "x", options: [] }, /nosuchfs/],
  "a bind of a directory that is not there": [
    { type: "bind", source: "/no/such/directory", options: ["rbind"] },
    /\/no\/such\/directory/,
  ],
};
for (const [name, [mount, reason]] of Object.entries(wrongRootfs))
  bad(`a rootfs that is ${name}`, () => failsWith(tandemLinux, { rootfs: [mount] }, reason));

/** An image whose module is a layer of its own, not unpacked. */
async function importLayerImage(name: string, packed: Packed): Promise<string> {
  const archive = join(scene.containerd.directory, `${name}.tar`);
  const reference = `local.test/${name}:1`;
  await writeLayoutTar(archive, [{ name: reference, packed, platform: wasmPlatform("wasip1") }]);
  await scene.containerd.ctrOk(["images", "import", "--all-platforms", "--no-unpack", archive]);
  return reference;
}

bad("a full disk for the cache", async () => {
  const image = await importLayerImage("full", packWasmLayer("app", "wasip1", await buildModule()));
  await failsWith(tandemWasm, { image, noRootfs: true, args: ["/app.wasm"] }, /ENOSPC|no space left/i);
  await runOk("mount", ["-o", "remount,size=8m", scratch]);
  const outcome = await attempt(tandemWasm, { image, noRootfs: true, args: ["/app.wasm", "exit", "4"] });
  await runOk("mount", ["-o", "remount,size=32k", scratch]).catch(() => undefined);
  assert.equal(outcome, { status: 4, stderr: "" });
});

bad("a layer that is not what its digest says", async () => {
  await runOk("mount", ["-o", "remount,size=8m", scratch]);
  // Other bytes than the test before: its module is in the cache by now.
  const module = Buffer.concat([await buildModule(), Buffer.from([0, 6, 4, 0x74, 0x65, 0x73, 0x74, 1])]);
  const packed = packWasmLayer("app", "wasip1", module);
  const image = await importLayerImage("corrupt", packed);
  const { layers } = JSON.parse(Buffer.from(packed.manifest.bytes).toString()) as {
    layers: { digest: string }[];
  };
  const digest = layers[0]?.digest ?? "";
  const blob = join(
    scene.containerd.directory,
    "root/io.containerd.content.v1.content/blobs/sha256",
    digest.slice("sha256:".length),
  );
  const bytes = readFileSync(blob);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await run("chattr", ["-i", blob]);
  rmSync(blob);
  writeFileSync(blob, bytes);
  await failsWith(
    tandemWasm,
    { image, noRootfs: true, args: ["/app.wasm"] },
    new RegExp(digest.slice(0, 20)),
  );
});

function optionsOf(typeUrl: string, value: Uint8Array): Any {
  return create(AnySchema, { typeUrl, value });
}

bad("runtime options of an unknown type", () =>
  failsWith(
    tandemLinux,
    { runtimeOptions: optionsOf("acme.v1.Options", Uint8Array.of()) },
    /acme\.v1\.Options/,
  ),
);

bad("an unknown runtime option", () => {
  const options = create(OptionsSchema, { typeUrl: "tandem", configBody: Buffer.from("Teleport = true\n") });
  const any = optionsOf("runtimeoptions.v1.Options", toBinary(OptionsSchema, options));
  return failsWith(tandemLinux, { runtimeOptions: any }, /Teleport/);
});

bad.run();
