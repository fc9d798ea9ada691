/**
 * One suite for every executor and every generation of containerd, and for containerd's own shim: what fails with that one is
 * wrong in the suite. All cases on one generation, those of the core on the others.
 */
import { suite } from "uvu";
import type { Generation } from "../../scripts/private-containerd/containerd.ts";
import type { Case } from "./lifecycle/case.ts";
import { coreCases } from "./lifecycle/core.ts";
import { execCases } from "./lifecycle/exec.ts";
import { chosenGenerations, thorough } from "./lifecycle/generations.ts";
import { linuxCases } from "./lifecycle/linux.ts";
import { podCases } from "./lifecycle/pods.ts";
import { resourceCases } from "./lifecycle/resources.ts";
import { type Runtime, runc, tandemLinux, tandemWasm } from "./lifecycle/runtimes.ts";
import { Scene } from "./lifecycle/scene.ts";
import { terminalCases } from "./lifecycle/terminal.ts";
import { wasmCases } from "./lifecycle/wasm.ts";

/** Where everything is emulated (`npm run test:vm`) it would take an hour: there it is what the machine's cgroups can change. */
const isBrief = process.env["TEST_LIFECYCLE"] === "brief";
const runtimes = isBrief ? [tandemLinux, tandemWasm] : [tandemLinux, tandemWasm, runc];
const allCases = [
  ...coreCases,
  ...linuxCases,
  ...execCases,
  ...terminalCases,
  ...resourceCases,
  ...podCases,
  ...wasmCases,
];

function casesFor(generation: Generation, { name }: Runtime): readonly Case[] {
  const cases = isBrief ? [...coreCases, ...resourceCases] : generation === thorough ? allCases : coreCases;
  return cases.filter(({ on }) => on === undefined || on.includes(name));
}

for (const generation of chosenGenerations()) {
  let scene: Scene | undefined;
  const opened = async (): Promise<Scene> => {
    scene ??= await Scene.open({ generation });
    return scene;
  };
  for (const runtime of runtimes) {
    const lifecycle = suite(`${runtime.name}, containerd ${generation}`);
    for (const { name, run } of casesFor(generation, runtime)) {
      lifecycle(name, async () => run(await opened(), runtime));
    }
    if (runtime === runtimes.at(-1)) lifecycle.after(async () => scene?.[Symbol.asyncDispose]());
    lifecycle.run();
  }
}
