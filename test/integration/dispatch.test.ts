/**
 * What an image is made of decides how it runs. Judged by what the kernel says of the process: a guest's has a filter and is
 * Node, a Linux container's is the program itself.
 */
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { mediaTypes, type Packed, packImage, writeLayoutTar } from "oras-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { BuiltImage } from "../../examples/built-image.ts";
import { buildComponent, build as buildComponentArtifact } from "../../examples/hello-component/build.ts";
import { build as buildArtifact, buildModule, examples } from "../../examples/hello-wasm/build.ts";
import { packWasmLayer, wasmPlatform } from "../../examples/wasm-image.ts";
import type { ContainerOptions } from "./lifecycle/container.ts";
import { chosenGenerations } from "./lifecycle/generations.ts";
import { statusOf } from "./lifecycle/proc.ts";
import { tandemLinux, tandemWasm } from "./lifecycle/runtimes.ts";
import { Scene } from "./lifecycle/scene.ts";

const pod = { "io.kubernetes.cri.sandbox-id": "mixed" };
const module = "/hello-wasm.wasm";
const sleeping = [module, "sleep", "1000"];
const linuxSleep = ["/bin/sleep", "1000"];

/** Layers other tools have put modules and components into. */
const layerTypes: Readonly<Record<string, string>> = {
  wasm: mediaTypes.wasm,
  "component-v0": "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
  "content-v1": "application/vnd.wasm.content.layer.v1+wasm",
  "module-v1": "application/vnd.module.wasm.content.layer.v1+wasm",
};

interface Row {
  readonly what: string;
  /** Name of an image below local.test/; without one, that of the executor's own. */
  readonly image?: string;
  readonly container: Partial<Omit<ContainerOptions, "id" | "runtime" | "image">> &
    Pick<ContainerOptions, "args">;
  readonly runs: "wasm" | "linux";
}

const rows: readonly Row[] = [
  {
    what: "a CNCF artifact with arguments of the container's",
    image: "artifact",
    container: { args: sleeping, noRootfs: true },
    runs: "wasm",
  },
  {
    what: "a CNCF artifact that is a component",
    image: "component",
    container: { args: ["/hello-component.wasm", "sleep", "1000"], noRootfs: true },
    runs: "wasm",
  },
  ...Object.entries(layerTypes).map(
    ([name, type]): Row => ({
      what: `an OCI image with a layer of ${type}`,
      image: `layer-${name}`,
      container: { args: sleeping, noRootfs: true },
      runs: "wasm",
    }),
  ),
  { what: "a module in a tar layer", container: { args: sleeping }, runs: "wasm" },
  ...[
    { "run.oci.handler": "wasm" },
    { "module.wasm.image/variant": "compat" },
    { "module.wasm.image/variant": "compat-smart" },
    { "tandem.dev/executor": "wasm" },
  ].map(
    (annotations): Row => ({
      what: `a module in a tar layer with ${JSON.stringify(annotations)}`,
      container: { args: sleeping, annotations },
      runs: "wasm",
    }),
  ),
  { what: "a Linux program", container: { args: linuxSleep }, runs: "linux" },
  {
    what: "a Linux program with an annotation that asks for Linux",
    container: { args: linuxSleep, annotations: { "tandem.dev/executor": "linux" } },
    runs: "linux",
  },
  {
    what: "a Linux sidecar of a pod whose modules are to be run as wasm",
    container: { args: linuxSleep, annotations: { ...pod, "module.wasm.image/variant": "compat-smart" } },
    runs: "linux",
  },
  {
    what: "a pod's own container, whatever the pod's annotations say",
    container: {
      args: linuxSleep,
      annotations: {
        "io.kubernetes.cri.sandbox-id": "own",
        "io.kubernetes.cri.container-type": "sandbox",
        "run.oci.handler": "wasm",
      },
    },
    runs: "linux",
  },
];

async function importImage(scene: Scene, directory: string, name: string, image: Omit<BuiltImage, "name">) {
  const archive = join(directory, `${name}.tar`);
  await writeLayoutTar(archive, [{ ...image, name: `local.test/${name}:1` }]);
  await scene.containerd.ctrOk(["images", "import", "--all-platforms", "--no-unpack", archive]);
}

async function packMixed(): Promise<Packed> {
  const mixed = examples.find(({ name }) => name === "hello-wasm-mixed");
  if (mixed === undefined) throw new Error("no example hello-wasm-mixed");
  return (await mixed.build()).packed;
}

async function importAll(scene: Scene): Promise<void> {
  const directory = mkdtempSync("/tmp/tp-");
  try {
    const component = await buildComponent();
    const plain = await buildModule();
    const platform = wasmPlatform("wasip1");
    await importImage(scene, directory, "artifact", await buildArtifact());
    await importImage(scene, directory, "component", await buildComponentArtifact());
    await importImage(scene, directory, "mixed", { packed: await packMixed(), platform });
    for (const [name, mediaType] of Object.entries(layerTypes)) {
      const bytes = name === "component-v0" ? component : plain;
      const packed =
        name === "wasm"
          ? packWasmLayer("hello-wasm", "wasip1", bytes)
          : packImage({ ...platform, config: { Entrypoint: [module] }, layers: [{ mediaType, bytes }] });
      await importImage(scene, directory, `layer-${name}`, { packed, platform });
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Which kind of process this is, by what the kernel says. */
function kindOf(pid: number): "wasm" | "linux" {
  const program = basename(readlinkSync(`/proc/${pid}/exe`));
  const filtered = statusOf(pid)["Seccomp"] === "2";
  if (program === "node" && filtered) return "wasm";
  assert.is(program, "busybox");
  assert.is(filtered, false);
  return "linux";
}

async function check(scene: Scene, { image, container, runs }: Row): Promise<void> {
  const runtime = runs === "wasm" ? tandemWasm : tandemLinux;
  const reference = image === undefined ? runtime.image : `local.test/${image}:1`;
  await using c = scene.container({ ...runtime, image: reference }, container);
  const pid = await c.run();
  if (runs === "wasm") await c.stdout.shows("sleeping\n");
  assert.is(kindOf(pid), runs);
}

/** Files from the tar layer, the program from the other one. */
async function checkMixed(scene: Scene): Promise<void> {
  const rootfs = join(scene.containerd.directory, "mixed-rootfs");
  mkdirSync(join(rootfs, "data"), { recursive: true });
  writeFileSync(join(rootfs, "data/greeting.txt"), "hello from a tar layer\n");
  await using c = scene.container(
    { ...tandemWasm, image: "local.test/mixed:1" },
    {
      args: [module, "read", "/data/greeting.txt"],
      rootfs: [{ type: "bind", source: rootfs, options: ["rbind", "rw"] }],
    },
  );
  await c.run();
  assert.is(await c.stdout.end(), "hello from a tar layer\n");
  assert.is(await c.wait(), 0);
}

/** Both kinds in one pod, each in its executor. */
async function checkSidecar(scene: Scene): Promise<void> {
  await using wasm = scene.container(tandemWasm, { args: sleeping, annotations: pod });
  await using sidecar = scene.container(tandemLinux, { args: linuxSleep, annotations: pod });
  assert.is(kindOf(await wasm.run()), "wasm");
  assert.is(kindOf(await sidecar.run()), "linux");
}

for (const generation of chosenGenerations()) {
  const dispatch = suite(`dispatch by content, containerd ${generation}`);
  let scene: Scene;
  dispatch.before(async () => {
    scene = await Scene.open({ generation });
    await importAll(scene);
  });
  dispatch.after(() => scene[Symbol.asyncDispose]());
  for (const row of rows) dispatch(`${row.what}: ${row.runs}`, () => check(scene, row));
  dispatch("a tar layer and a wasm layer: files from one, the module from the other", () =>
    checkMixed(scene),
  );
  dispatch("a Linux sidecar beside a module in one pod", () => checkSidecar(scene));
  dispatch("ctr run needs no more than the image", async () => {
    const ran = await scene.containerd.runContainer([
      ...["--rm", "--runtime", tandemWasm.runtime, tandemWasm.image, "by-ctr", module, "exit", "11"],
    ]);
    assert.is(ran.status, 11, ran.stderr);
  });
  dispatch("nothing is left", () => scene.containerd.assertClean());
  dispatch.run();
}
