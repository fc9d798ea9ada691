/** containerd goes and comes back; the containers do not notice, and what happened meanwhile is told. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { chosenGenerations } from "./lifecycle/generations.ts";
import { isAlive } from "./lifecycle/proc.ts";
import { tandemLinux, tandemWasm } from "./lifecycle/runtimes.ts";
import { Scene } from "./lifecycle/scene.ts";

/** How containerd ends. */
const ways = {
  stopped: (scene: Scene) => scene.containerd.terminate(),
  killed: (scene: Scene) => scene.containerd.kill9(),
} as const;

async function survives(scene: Scene, end: (scene: Scene) => Promise<void>): Promise<void> {
  const { containerd, client } = scene;
  await using linux = scene.container(tandemLinux, {
    args: ["/bin/sh", "-c", "echo before; read x; echo after; exec sleep 1000"],
    withStdin: true,
  });
  await using wasm = scene.container(tandemWasm, { args: tandemWasm.programs.sleep });
  await using dying = scene.container(tandemLinux, { args: tandemLinux.programs.sleep });
  await using dyingWasm = scene.container(tandemWasm, { args: tandemWasm.programs.sleep });
  const pids = [await linux.run(), await wasm.run()];
  const dyingPids = [await dying.run(), await dyingWasm.run()];
  await linux.stdout.shows("before\n");
  for (const container of [wasm, dying, dyingWasm]) await container.stdout.shows("sleeping\n");

  await end(scene);
  for (const pid of dyingPids) process.kill(pid, "SIGKILL");
  await waitFor(() => !dyingPids.some(isAlive), 5000, "two deaths while containerd is away");
  // The client's FIFOs are nothing of containerd's: the log goes on without it.
  const stdin = await linux.streams.stdin();
  stdin.write("\n");
  await linux.stdout.shows("after\n");
  await containerd.start();
  const events = client.subscribe();

  assert.ok(pids.every(isAlive));
  assert.is(await linux.status(), "RUNNING");
  assert.is(await wasm.status(), "RUNNING");
  for (const container of [dying, dyingWasm]) {
    assert.is(await container.wait(), 137);
    assert.is(await container.status(), "STOPPED");
  }
  assert.is((await linux.execToEnd("e1", tandemLinux.programs.exit(6))).status, 6);
  assert.is((await wasm.execToEnd("e1", tandemWasm.programs.exit(6))).status, 6);
  for (const container of [linux, wasm]) {
    await container.kill(9);
    assert.is(await container.wait(), 137);
    assert.is((await events.next(container.id, "exit", ({ id }) => id === container.id)).exitStatus, 137);
  }
  stdin.close();
}

/**
 * No subscriber can be sure to be there before the shim's next try, but containerd's log is: it names every event that it is
 * given (at level trace), and this is the only exit.
 */
async function tellsOfAnExitMeanwhile(scene: Scene, end: (scene: Scene) => Promise<void>): Promise<void> {
  const { containerd } = scene;
  await using c = scene.container(tandemLinux, { args: tandemLinux.programs.sleep });
  const pid = await c.run();
  await c.stdout.shows("sleeping\n");
  await end(scene);
  const before = containerd.logs().length;
  process.kill(pid, "SIGKILL");
  await waitFor(() => !isAlive(pid), 5000, "the death");
  await containerd.start();
  const told = (): boolean => /event forwarded.*\/tasks\/exit/.test(containerd.logs().slice(before));
  await waitFor(told, 15_000, "the exit that happened while containerd was away");
}

for (const generation of chosenGenerations()) {
  const restart = suite(`containerd ${generation} is restarted`);
  let scene: Scene;
  restart.before(async () => {
    scene = await Scene.open({ generation, debug: true });
  });
  restart.after(() => scene[Symbol.asyncDispose]());
  for (const [name, end] of Object.entries(ways)) {
    restart(`running tasks, their logs, execs and exits survive it being ${name}`, () =>
      survives(scene, end),
    );
    restart(`an exit is told that happened while it was ${name}`, () => tellsOfAnExitMeanwhile(scene, end));
  }
  restart("nothing is left", () => scene.containerd.assertClean());
  restart.run();
}
