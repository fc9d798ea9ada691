/** Two hundred containers come and go, and the machine is as it was. */
import { readdirSync, readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { processStat } from "../../src/process-stat.ts";
import { thorough } from "./lifecycle/generations.ts";
import { processesNaming } from "./lifecycle/proc.ts";
import { tandemLinux, tandemWasm } from "./lifecycle/runtimes.ts";
import { Scene } from "./lifecycle/scene.ts";

const COUNT = 200;
const AT_ONCE = 8;

/** What must be the same before and after: the kernel's own lists, and those of the processes that stay. */
interface Footprint {
  readonly mounts: number;
  readonly zygoteFds: { readonly length: number };
  /** Children of the zygote that have ended and nobody has reaped. */
  readonly zombies: readonly number[];
  readonly files: readonly string[];
}

function zombiesOf(parent: number): number[] {
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return pids.filter((pid) => {
    const stat = processStat(pid);
    return stat?.state === "Z" && stat.parent === parent;
  });
}

function footprint(scene: Scene): Footprint {
  const { directory } = scene.containerd;
  const [zygote = 0, ...others] = processesNaming(`${directory}/`, /^tandem-zygote/);
  assert.equal(others, [], "one zygote");
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" })
    // containerd's own: its database, its snapshots' directories and its log.
    .filter((path) => /^(run|lib|state|fifos)\b/.test(path) && !/\.lock$/.test(path))
    // How often a module was started (src/code): kept, as its code will be.
    .filter((path) => !/^lib\/code\/.*\.uses$/.test(path));
  return {
    mounts: readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n").length,
    zygoteFds: { length: readdirSync(`/proc/${zygote}/fd`).length },
    zombies: zombiesOf(zygote),
    files: files.sort(),
  };
}

/** The footprint once the zygote has replaced the spares that were used: it does that in pauses. */
async function settled(scene: Scene): Promise<Footprint> {
  let last = footprint(scene);
  let unchanged = 0;
  await waitFor(
    () => {
      const now = footprint(scene);
      unchanged = now.zygoteFds.length === last.zygoteFds.length ? unchanged + 1 : 0;
      last = now;
      return unchanged >= 20;
    },
    15_000,
    "a zygote that has its spares",
  );
  return last;
}

async function runOne(scene: Scene, index: number): Promise<void> {
  const kind = index % 2 === 0 ? tandemLinux : tandemWasm;
  await using c = scene.container(kind, { args: kind.programs.exit(index % 100) });
  await c.run();
  assert.is(await c.wait(), index % 100, `${kind.name} ${index}`);
  await c.delete();
}

/** Both kinds in one pod: the shim outlives the first. */
async function runPod(scene: Scene, index: number): Promise<void> {
  const annotations = { "io.kubernetes.cri.sandbox-id": `pod-${index}` };
  await using linux = scene.container(tandemLinux, { args: tandemLinux.programs.sleep, annotations });
  await using wasm = scene.container(tandemWasm, { args: tandemWasm.programs.exit(0), annotations });
  await linux.run();
  await wasm.run();
  assert.is(await wasm.wait(), 0);
  await linux.kill(9);
  assert.is(await linux.wait(), 137);
}

const many = suite("two hundred containers");
let scene: Scene;

many.before(async () => {
  scene = await Scene.open({ generation: thorough });
});
many.after(() => scene[Symbol.asyncDispose]());

many("eight at once leave no process, mount, cgroup, file, socket or descriptor behind", async () => {
  // The first ones bring the zygote, the resolver and what is cached.
  for (let index = 0; index < 4; index++) await runOne(scene, index);
  await scene.containerd.assertClean();
  const before = await settled(scene);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < COUNT) {
      const index = next;
      next += 1;
      if (index % 10 === 9) {
        await runPod(scene, index);
        next += 1;
      } else await runOne(scene, index);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  await scene.containerd.assertClean(15_000);
  // A spare that replaces a used one may be on its way.
  const same = (): boolean => {
    const after = footprint(scene);
    return (
      after.mounts === before.mounts &&
      after.zygoteFds.length <= before.zygoteFds.length &&
      after.zombies.length === 0 &&
      after.files.join() === before.files.join()
    );
  };
  await waitFor(same, 10_000, "everything as before").catch(() => {
    assert.equal(footprint(scene), before);
  });
});

many.run();
