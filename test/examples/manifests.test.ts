import { readdir, readFile, stat } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parse, parseAllDocuments } from "yaml";
import { allExamples } from "../../examples/build.ts";
import { loadPod } from "../../examples/mixed-pod/pod.ts";

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly handler?: string;
  readonly spec?: {
    readonly containers?: readonly Container[];
    readonly runtimeClassName?: string;
    readonly selector?: { readonly matchLabels?: object };
    readonly template?: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: { readonly runtimeClassName?: string; readonly containers: readonly Container[] };
    };
  };
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
}

const kubernetes = new URL("../../examples/kubernetes/", import.meta.url);
const mixedPod = new URL("../../examples/mixed-pod/pod.yaml", import.meta.url);
const imageNames = allExamples.map(({ name }) => `tandem/${name}:latest`);

test("every file of the kubernetes example is listed in its kustomization, and every listed one exists", async () => {
  const { resources } = parse(await readFile(new URL("kustomization.yaml", kubernetes), "utf8")) as {
    resources: string[];
  };
  const own = (await readdir(kubernetes)).filter(
    (name) => name.endsWith(".yaml") && name !== "kustomization.yaml",
  );
  assert.equal(resources.filter((name) => !name.startsWith("../")).sort(), own.sort());
  for (const name of resources) await stat(new URL(name, kubernetes));
});

test("there is a RuntimeClass tandem, two Deployments with their Services, and the mixed pod", async () => {
  const kinds = (await allManifests()).map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();
  assert.equal(kinds, [
    "Deployment hello-function",
    "Deployment hello-linux",
    "Pod mixed-pod",
    "RuntimeClass tandem",
    "Service hello-function",
    "Service hello-linux",
  ]);
  const runtimeClass = (await allManifests()).find(({ kind }) => kind === "RuntimeClass");
  assert.is(runtimeClass?.apiVersion, "node.k8s.io/v1");
  assert.is(runtimeClass?.handler, "tandem");
});

test("everything that runs names the RuntimeClass and an image that the examples build", async () => {
  for (const { metadata, spec } of await allManifests()) {
    const pod = spec?.template?.spec ?? spec;
    if (pod?.containers === undefined) continue;
    assert.is(pod.runtimeClassName, "tandem", metadata.name);
    for (const { image } of pod.containers) {
      assert.ok(imageNames.includes(image.slice(image.indexOf("/") + 1)), `${metadata.name}: ${image}`);
    }
  }
});

test("a Deployment selects its own pods, and a Service those of a Deployment", async () => {
  const manifests = await allManifests();
  const templates = manifests.flatMap(({ spec }) => spec?.template ?? []);
  for (const { kind, metadata, spec } of manifests) {
    const selector = kind === "Deployment" ? spec?.selector?.matchLabels : spec?.selector;
    if (selector === undefined) continue;
    const selected = templates.filter(
      ({ metadata: { labels } }) => JSON.stringify(labels) === JSON.stringify(selector),
    );
    assert.is(selected.length, 1, `${kind} ${metadata.name}`);
  }
});

test("the mixed pod reads as a wasm container on port 8080 and a Linux one that asks it over localhost", async () => {
  const pod = await loadPod();
  assert.is(pod.name, "mixed-pod");
  const [wasm, linux] = pod.containers;
  assert.is(wasm?.image, "tandem/http-function:latest");
  assert.equal(wasm?.ports, [8080]);
  assert.equal(wasm?.args, ["/http-function.wasm"], "containerd refuses a container without a command");
  assert.is(linux?.image, "tandem/hello-linux:latest");
  assert.equal(linux?.env, { FUNCTION_URL: "http://127.0.0.1:8080/", REQUESTS: "forever", INTERVAL: "1" });
  assert.is(linux?.memoryLimit, 64 * 1024 * 1024);
  assert.match(linux?.args.join(" ") ?? "", "wget");
});

async function allManifests(): Promise<readonly Manifest[]> {
  const names = (await readdir(kubernetes)).filter(
    (name) => name.endsWith(".yaml") && name !== "kustomization.yaml",
  );
  const files = [...names.map((name) => new URL(name, kubernetes)), mixedPod];
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return texts.flatMap((text) =>
    parseAllDocuments(text).map((document) => {
      assert.equal(document.errors, []);
      return document.toJS() as Manifest;
    }),
  );
}

test.run();
