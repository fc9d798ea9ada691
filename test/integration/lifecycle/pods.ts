import * as assert from "uvu/assert";
import { waitFor } from "../../../scripts/private-containerd/wait-for.ts";
import type { Case } from "./case.ts";
import { isAlive, namespaceOf, processesNaming, statusOf } from "./proc.ts";
import { importImages, tandemLinux, tandemWasm } from "./runtimes.ts";
import type { Scene } from "./scene.ts";

const sandboxId = "io.kubernetes.cri.sandbox-id";

/** Shims of this containerd that are there now. */
function shims(scene: Scene): number[] {
  return processesNaming(`${scene.containerd.directory}/`, /^(tandem-shim|containerd-shim)/);
}

export const podCases: readonly Case[] = [
  {
    name: "containers of one pod share a shim, whatever their kind, until the last has gone",
    on: ["tandem-linux"],
    async run(scene) {
      await waitFor(() => shims(scene).length === 0, 5000, "no shim before");
      const annotations = { [sandboxId]: "pod-1" };
      await using linux = scene.container(tandemLinux, { args: tandemLinux.programs.sleep, annotations });
      await using wasm = scene.container(tandemWasm, { args: tandemWasm.programs.sleep, annotations });
      await linux.run();
      const [shim = 0, ...others] = shims(scene);
      assert.equal(others, []);
      await wasm.run();
      assert.equal(shims(scene), [shim]);
      await wasm.stdout.shows("sleeping\n");
      await linux.remove();
      assert.ok(isAlive(shim));
      assert.is(await wasm.status(), "RUNNING");
      assert.is((await wasm.execToEnd("e", tandemWasm.programs.exit(8))).status, 8);
      await wasm.remove();
      await waitFor(() => !isAlive(shim), 5000, "the end of the shim");
    },
  },
  {
    name: "containers of different pods have a shim each",
    on: ["tandem-linux"],
    async run(scene) {
      await waitFor(() => shims(scene).length === 0, 5000, "no shim before");
      await using one = scene.container(tandemLinux, {
        args: tandemLinux.programs.sleep,
        annotations: { [sandboxId]: "pod-a" },
      });
      await using two = scene.container(tandemLinux, {
        args: tandemLinux.programs.sleep,
        annotations: { [sandboxId]: "pod-b" },
      });
      await one.run();
      await two.run();
      assert.is(shims(scene).length, 2);
    },
  },
  {
    name: "the same id in two containerd namespaces is two containers",
    async run(scene, runtime) {
      const other = `${scene.containerd.namespace}-cri`;
      await importImages(scene.containerd, scene.archives, other);
      await using here = scene.container(runtime, { id: "same", args: runtime.programs.sleep });
      await using there = scene.container(runtime, {
        id: "same",
        namespace: other,
        args: runtime.programs.exit(4),
      });
      await here.run();
      await here.stdout.shows("sleeping\n");
      await there.run();
      assert.is(await there.wait(), 4);
      await there.delete();
      assert.is(await here.status(), "RUNNING");
      await here.kill(15);
      assert.is(await here.wait(), 143);
    },
  },
  {
    name: "a process in the host's pid namespace dies of the signal itself",
    on: ["tandem-linux", "runc"],
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: ["/bin/sleep", "1000"], share: ["pid"] });
      const pid = await c.run();
      assert.is(namespaceOf(pid, "pid"), namespaceOf("self", "pid"));
      assert.is(statusOf(pid)["NSpid"], String(pid));
      await c.kill(15);
      assert.is(await c.wait(), 143);
    },
  },
];
