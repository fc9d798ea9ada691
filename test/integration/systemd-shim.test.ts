/** `SystemdCgroup` of containerd's runtime options, with the systemd of this machine; `npm run test:vm` has one. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { OptionsSchema } from "../../src/api/gen/containerd/runc/v1/options_pb.ts";
import { skipSuite } from "../support/skip.ts";
import { chosenGenerations, thorough } from "./lifecycle/generations.ts";
import { isAlive, processesNaming } from "./lifecycle/proc.ts";
import { type Runtime, tandemLinux, tandemWasm } from "./lifecycle/runtimes.ts";
import { Scene } from "./lifecycle/scene.ts";
import { specOf } from "./lifecycle/spec.ts";
import { showUnit, whyNoScopes } from "./systemd.ts";

const shim = suite("containers of containerd in systemd scopes");
const slice = `tandemtest${process.pid}-pod1.slice`;
const parent = `/sys/fs/cgroup/tandemtest${process.pid}.slice`;
const runtimeOptions = create(AnySchema, {
  typeUrl: "containerd.runc.v1.Options",
  value: toBinary(OptionsSchema, create(OptionsSchema, { systemdCgroup: true })),
});
let scene: Scene;

shim.before(async () => {
  scene = await Scene.open({ generation: chosenGenerations().includes(thorough) ? thorough : "1.7" });
});

shim.after(async () => {
  await scene[Symbol.asyncDispose]();
  spawnSync("systemctl", ["stop", slice, `tandemtest${process.pid}.slice`]);
  for (const path of [`${parent}/${slice}`, parent]) if (existsSync(path)) rmdirSync(path);
});

const stateOf = (unit: string) => showUnit(unit, "LoadState")["LoadState"];

let count = 0;

function container({ runtime, image, programs, name }: Runtime) {
  const id = `s${++count}`;
  const plain = specOf(scene.containerd.namespace, id, { args: programs.sleep }) as { linux: object };
  const spec = { ...plain, linux: { ...plain.linux, cgroupsPath: `${slice}:test:${id}` } };
  const made = scene.container(
    { runtime, image, programs, name },
    { id, args: programs.sleep, spec, runtimeOptions },
  );
  return { made, unit: `test-${id}.scope` };
}

for (const kind of [tandemLinux, tandemWasm]) {
  shim(`a ${kind.name} container is in its scope from create to delete`, async () => {
    const { made, unit } = container(kind);
    await using c = made;
    await c.run();
    await c.stdout.shows("sleeping\n");
    assert.is(stateOf(unit), "loaded");
    const pids = await c.pids();
    assert.equal(
      readFileSync(`${parent}/${slice}/${unit}/cgroup.procs`, "utf8").trim().split("\n").map(Number).sort(),
      [...pids].sort(),
    );
    await c.update({ pids: { limit: 99 } });
    assert.is(readFileSync(`${parent}/${slice}/${unit}/pids.max`, "utf8"), "99\n");
    await c.kill(9);
    assert.is(await c.wait(), 137);
    await c.delete();
    assert.is(stateOf(unit), "not-found");
  });
}

shim("no scope is left after the death of a shim", async () => {
  const { made, unit } = container(tandemLinux);
  await using c = made;
  await c.run();
  await c.stdout.shows("sleeping\n");
  const directory = `${scene.containerd.directory}/`;
  const shims = await waitFor(
    () => {
      const alive = processesNaming(directory, /^tandem-shim/).filter(isAlive);
      return alive.length === 1 ? alive : undefined;
    },
    20_000,
    "one shim",
  );
  process.kill(shims[0] ?? 0, "SIGKILL");
  await waitFor(() => (stateOf(unit) === "not-found" ? true : undefined), 20_000, "the scope's end");
  assert.equal(
    readdirSync(`${parent}/${slice}`).filter((name) => name.endsWith(".scope")),
    [],
  );
});

const missing = whyNoScopes();
if (missing !== undefined) skipSuite("containers of containerd in systemd scopes", missing);
else shim.run();
