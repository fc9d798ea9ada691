/** restore with the systemd cgroup driver, by the systemd and the criu of this machine; `npm run test:vm` has both. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { skipSuite } from "../support/skip.ts";
import { annotations, counter, criu, numbers, waitForCount, whyNoCriu } from "./criu.ts";
import { exitOf, OciCommands } from "./oci-commands.ts";
import { showUnit, whyNoScopes } from "./systemd.ts";

const title = "tandem-oci: restore into a systemd scope";
const restore = suite(title);
const outer = `tandemtest${process.pid}`;
const slice = `${outer}-pod1.slice`;
const parent = `/sys/fs/cgroup/${outer}.slice/${slice}`;
let oci: OciCommands;

restore.before(() => {
  oci = new OciCommands(["--systemd-cgroup", "--criu", criu]);
});
restore.after(async () => {
  await oci[Symbol.asyncDispose]();
  spawnSync("systemctl", ["stop", slice, `${outer}.slice`]);
  for (const path of [parent, join(parent, "..")]) if (existsSync(path)) rmdirSync(path);
});

interface Checkpointed {
  readonly unit: string;
  readonly bundle: string;
  readonly images: string;
  /** What the container writes to, and the last number that it has written. */
  readonly output: string;
  readonly last: number;
}

/** A container with limits that was in a scope, and is on disk now. */
async function checkpointed(id: string): Promise<Checkpointed> {
  const unit = `oci-${id}.scope`;
  const bundle = oci.bundle(counter, {
    annotations,
    linux: { cgroupsPath: `${slice}:oci:${id}`, resources: { pids: { limit: 33 } } },
  });
  const output = await oci.begin(id, bundle);
  await waitForCount(output, 3);
  assert.is(showUnit(unit, "ActiveState")["ActiveState"], "active");
  const images = join(oci.directory, `images-${id}`);
  await oci.ok("checkpoint", "--image-path", images, id);
  assertGone(unit);
  return { unit, bundle, images, output, last: numbers(output).at(-1) ?? -1 };
}

function assertGone(unit: string): void {
  assert.is(showUnit(unit, "LoadState")["LoadState"], "not-found");
  assert.not.ok(existsSync(join(parent, unit)));
}

/** The pid namespace of a process; undefined when it is gone. */
function pidNamespaceOf(pid: number | string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

const pidsIn = (unit: string): string[] =>
  readFileSync(join(parent, unit, "cgroup.procs"), "utf8")
    .trim()
    .split("\n");

/** Processes in the scope that are not in the pid namespace of the container's init: a placeholder, a criu. */
function strangers(unit: string, init: number): string[] {
  const own = pidNamespaceOf(init);
  return pidsIn(unit).filter((pid) => ![own, undefined].includes(pidNamespaceOf(pid)));
}

restore("a container goes on in a new scope, alone in it, and systemd has its limits", async () => {
  const { unit, bundle, images, output, last } = await checkpointed("r1");
  // A regular file has to be as long as it was.
  const restored = oci.spawn(["restore", "--bundle", bundle, "--image-path", images, "r1"], output, "a");
  const ended = exitOf(restored);
  await waitForCount(output, last + 3);
  await oci.waitForStatus("r1", "running");
  const pid = Number((await oci.state("r1"))["pid"]);
  const scope = { ActiveState: "active", Slice: slice, TasksMax: "33" };
  assert.equal(showUnit(unit, "ActiveState", "Slice", "TasksMax"), scope);
  assert.ok(pidsIn(unit).includes(String(pid)));
  // criu is reaped after the container is said to run.
  await waitFor(() => strangers(unit, pid).length === 0, 10_000, "the end of all but the container");
  // Without the placeholder it is the container that keeps the scope.
  spawnSync("systemctl", ["daemon-reload"]);
  assert.equal(showUnit(unit, "ActiveState", "Slice", "TasksMax"), scope);
  await oci.ok("update", "--pids-limit", "44", "r1");
  assert.is(showUnit(unit, "TasksMax")["TasksMax"], "44");
  assert.is(readFileSync(join(parent, unit, "pids.max"), "utf8"), "44\n");
  await oci.ok("exec", "r1", "true");
  await oci.ok("kill", "r1", "KILL");
  assert.is(await ended, 137);
  assertGone(unit);
  assert.equal(oci.leftovers(), []);
});

restore("a restore that fails leaves no scope, and the next one has its name", async () => {
  const { unit, bundle, images, output, last } = await checkpointed("r2");
  const damaged = `${images}-damaged`;
  cpSync(images, damaged, { recursive: true });
  writeFileSync(join(damaged, "pstree.img"), "not an image");
  const { status, stderr } = await oci.run("restore", "--bundle", bundle, "--image-path", damaged, "r2");
  assert.is(status, 1);
  assert.match(stderr, /criu: failed: \S/);
  assertGone(unit);
  assert.equal(oci.leftovers(), []);
  const flags = ["--detach", "--bundle", bundle, "--image-path", images];
  assert.is(await exitOf(oci.spawn(["restore", ...flags, "r2"], output, "a")), 0);
  await waitForCount(output, last + 3);
  const pid = Number((await oci.state("r2"))["pid"]);
  assert.equal(strangers(unit, pid), []);
  await oci.ok("delete", "--force", "r2");
  assertGone(unit);
});

const missing = whyNoScopes() ?? (whyNoCriu() || undefined);
if (missing !== undefined) skipSuite(title, missing);
else restore.run();
