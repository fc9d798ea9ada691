/** kill -9 of every process of Tandem's own at every stage: what it did is cleaned up, and the next container runs. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { run } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { DeleteResponseSchema } from "../../src/api/gen/containerd/task/v3/task_pb.ts";
import type { TestContainer } from "./lifecycle/container.ts";
import { chosenGenerations, thorough } from "./lifecycle/generations.ts";
import { isAlive, processesNaming } from "./lifecycle/proc.ts";
import { type Runtime, tandemLinux, tandemWasm } from "./lifecycle/runtimes.ts";
import { Scene } from "./lifecycle/scene.ts";

const kinds = [tandemLinux, tandemWasm];

function household(scene: Scene, name: RegExp): number[] {
  return processesNaming(`${scene.containerd.directory}/`, name).filter(isAlive);
}

const shims = (scene: Scene): number[] => household(scene, /^tandem-shim/);
const zygotes = (scene: Scene): number[] => household(scene, /^tandem-zygote/);

async function only(found: () => number[], what: string): Promise<number> {
  const [pid] = await waitFor(() => (found().length === 1 ? found() : undefined), 5000, `one ${what}`);
  return pid ?? 0;
}

/** The proof that a fault has broken nothing for others. */
async function nextOnesRun(scene: Scene): Promise<void> {
  for (const kind of kinds) {
    await using c = scene.container(kind, { args: kind.programs.exit(21) });
    await c.run();
    assert.is(await c.wait(), 21, kind.name);
  }
}

/** How far a container has come when its shim is killed. */
const stages: Readonly<Record<string, (c: TestContainer, runtime: Runtime) => Promise<unknown>>> = {
  created: (c) => c.create(),
  async running(c) {
    await c.run();
    await c.stdout.shows("sleeping\n");
  },
  async paused(c) {
    await c.run();
    await c.stdout.shows("sleeping\n");
    await c.pause();
  },
  async "running an exec"(c, { programs }) {
    await c.run();
    const exec = await c.exec("e1", { args: programs.sleep });
    await c.start("e1");
    await exec.stdout.shows("sleeping\n");
  },
};

async function shimDies(
  scene: Scene,
  runtime: Runtime,
  reach: (c: TestContainer, runtime: Runtime) => Promise<unknown>,
): Promise<void> {
  const { containerd, client } = scene;
  await waitFor(() => shims(scene).length === 0, 5000, "no shim before");
  const c = scene.container(runtime, { args: runtime.programs.sleep });
  await reach(c, runtime);
  const pids = await c.pids();
  process.kill(await only(() => shims(scene), "shim"), "SIGKILL");
  const exit = await client.events.next(c.id, "exit", ({ id }) => id === c.id);
  assert.is(exit.exitStatus, 137);
  assert.ok(pids.includes(exit.pid ?? 0), `${exit.pid} was none of ${pids.join(", ")}`);
  await waitFor(() => !pids.some(isAlive), 5000, "the end of its processes");
  await c.remove();
  await containerd.assertClean();
  await nextOnesRun(scene);
}

async function zygoteDiesBeforeStart(scene: Scene): Promise<void> {
  await nextOnesRun(scene);
  process.kill(await only(() => zygotes(scene), "zygote"), "SIGKILL");
  await nextOnesRun(scene);
  await only(() => zygotes(scene), "zygote");
}

async function zygoteDiesWhileRunning(scene: Scene): Promise<void> {
  await using linux = scene.container(tandemLinux, { args: tandemLinux.programs.sleep });
  await using wasm = scene.container(tandemWasm, { args: tandemWasm.programs.sleep });
  for (const c of [linux, wasm]) {
    await c.run();
    await c.stdout.shows("sleeping\n");
  }
  process.kill(await only(() => zygotes(scene), "zygote"), "SIGKILL");
  await waitFor(() => zygotes(scene).length === 0, 5000, "no zygote");
  for (const c of [linux, wasm]) assert.is(await c.status(), "RUNNING");
  assert.is((await linux.execToEnd("e1", tandemLinux.programs.exit(3))).status, 3);
  // This one asks for a new zygote.
  assert.is((await wasm.execToEnd("e1", tandemWasm.programs.exit(3))).status, 3);
  await linux.kill(15);
  assert.is(await linux.wait(), 143);
  await wasm.kill(15);
  assert.is(await wasm.wait(), 143);
}

/** The second container of a pod never meets a launcher's zygote; a wasm one still needs a fork. */
async function zygoteDiesWithinAPod(scene: Scene): Promise<void> {
  const annotations = { "io.kubernetes.cri.sandbox-id": "pod-of-two" };
  await using first = scene.container(tandemLinux, { args: tandemLinux.programs.sleep, annotations });
  await using second = scene.container(tandemWasm, { args: tandemWasm.programs.exit(5), annotations });
  await first.create();
  process.kill(await only(() => zygotes(scene), "zygote"), "SIGKILL");
  await waitFor(() => zygotes(scene).length === 0, 5000, "no zygote");
  await first.start();
  await second.create();
  assert.is(shims(scene).length, 1);
  process.kill(await only(() => zygotes(scene), "zygote"), "SIGKILL");
  await second.start();
  assert.is(await second.wait(), 5);
  await first.stdout.shows("sleeping\n");
}

function bundleOf(scene: Scene, id: string): string {
  const { directory, namespace } = scene.containerd;
  return join(directory, "state/io.containerd.runtime.v2.task", namespace, id);
}

/** When containerd is killed, between its call and our answer. */
const moments: Readonly<Record<string, (scene: Scene, id: string, before: number) => boolean>> = {
  "the bundle is there": (scene, id) => existsSync(bundleOf(scene, id)),
  "the shim is there": (scene, _, before) => shims(scene).length > before,
  "the rootfs is mounted": (scene, id) => existsSync(join(bundleOf(scene, id), "rootfs/hello-wasm.wasm")),
};

async function containerdDiesDuringCreate(scene: Scene, moment: (typeof moments)[string]): Promise<void> {
  const { containerd, client } = scene;
  const before = shims(scene).length;
  const c = scene.container(tandemWasm, { args: tandemWasm.programs.sleep });
  // It may have succeeded, or not: both are fine.
  const creating = c.create().catch(() => undefined);
  const deadline = Date.now() + 10_000;
  while (!moment(scene, c.id, before) && Date.now() < deadline)
    await new Promise((resolve) => setImmediate(resolve));
  await containerd.kill9();
  await creating;
  await containerd.start();
  client.subscribe();
  await c.remove();
  await nextOnesRun(scene);
}

/** The launcher waits for a zygote that is stopped, so that there is time to kill it. */
async function launcherDies(scene: Scene): Promise<void> {
  await nextOnesRun(scene);
  const zygote = await only(() => zygotes(scene), "zygote");
  const c = scene.container(tandemLinux, { args: tandemLinux.programs.sleep });
  process.kill(zygote, "SIGSTOP");
  try {
    const creating = c.create().then(
      () => "created",
      () => "refused",
    );
    const launcher = await only(() => household(scene, /^containerd-shim/), "launcher");
    process.kill(launcher, "SIGKILL");
    assert.is(await creating, "refused");
  } finally {
    process.kill(zygote, "SIGCONT");
  }
  await c.remove();
  await scene.containerd.assertClean();
  await nextOnesRun(scene);
}

/** What containerd runs when a shim is dead, here with containerd dead too: only the bundle says what there was. */
async function deletedFromTheBundle(scene: Scene, runtime: Runtime): Promise<void> {
  const { containerd, client } = scene;
  await waitFor(() => shims(scene).length === 0, 5000, "no shim before");
  const c = scene.container(runtime, { args: runtime.programs.sleep });
  await c.run();
  await c.stdout.shows("sleeping\n");
  const pids = await c.pids();
  await containerd.kill9();
  process.kill(await only(() => shims(scene), "shim"), "SIGKILL");
  await waitFor(() => shims(scene).length === 0, 5000, "the shim's end");
  const bundle = bundleOf(scene, c.id);
  for (const time of ["first", "second"]) {
    const flags = ["-namespace", c.namespace, "-address", containerd.address, "-id", c.id, "-bundle", bundle];
    const finished = await run(containerd.shimProgram, [...flags, "delete"], {
      directory: bundle,
      environment: {
        TTRPC_ADDRESS: `${containerd.address}.ttrpc`,
        TANDEM_RUN_DIR: containerd.runDirectory,
        TANDEM_STATE_DIR: join(containerd.directory, "lib"),
      },
      encoding: "latin1",
    });
    assert.is(finished.status, 0, `${time}: ${finished.stderr}`);
    const answer = fromBinary(DeleteResponseSchema, Buffer.from(finished.stdout, "latin1"));
    assert.is(answer.exitStatus, 137, time);
    assert.not.ok(pids.some(isAlive), time);
    const left = containerd.leftovers().filter((line) => !line.startsWith("bundle "));
    assert.equal(left, [], time);
  }
  await containerd.start();
  client.subscribe();
  await c.remove();
  await containerd.assertClean();
}

for (const generation of chosenGenerations()) {
  const faults = suite(`kill -9, containerd ${generation}`);
  const everything = generation === thorough;
  let scene: Scene;
  faults.before(async () => {
    scene = await Scene.open({ generation });
  });
  faults.after(() => scene[Symbol.asyncDispose]());
  for (const kind of kinds) {
    for (const [stage, reach] of Object.entries(stages)) {
      if (everything || stage === "running")
        faults(`the shim of a ${kind.name} container that is ${stage}`, () => shimDies(scene, kind, reach));
    }
  }
  faults("the zygote, between two pods", () => zygoteDiesBeforeStart(scene));
  for (const kind of kinds)
    faults(`containerd and the shim of a ${kind.name} container: delete from the bundle, twice`, () =>
      deletedFromTheBundle(scene, kind),
    );
  if (everything) {
    faults("the zygote, while containers run", () => zygoteDiesWhileRunning(scene));
    faults("the zygote, between the containers of a pod", () => zygoteDiesWithinAPod(scene));
    faults("the launcher, while it waits for the zygote", () => launcherDies(scene));
    for (const [name, moment] of Object.entries(moments))
      faults(`containerd, during create, when ${name}`, () => containerdDiesDuringCreate(scene, moment));
  }
  // A shim that nobody has asked for anything goes after a minute.
  faults("nothing is left", () => scene.containerd.assertClean(90_000));
  faults.run();
}
