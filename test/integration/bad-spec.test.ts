/**
 * What test/bad-input/config.test.ts does on paper, with containers: a config.json with something wrong in it gives a container that
 * lives and dies as it should, or an error that names the property; and in either case nothing is left of it, neither on the machine
 * nor in the process that made it.
 *
 * TANDEM_FUZZ_RUNS is how many containers each test makes, TANDEM_FUZZ_SEED repeats a run (a failure prints it),
 * TANDEM_FUZZ_ALL=<part of a property's path> tries every change of those properties instead.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { defaultRuntimeOptions } from "../../src/bundle/runtime-options.ts";
import { loadSpec, parseProcess } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";
import { cgroupLayout } from "../../src/isolation/cgroup/layout.ts";
import { cgroupPaths } from "../../src/isolation/cgroup/paths.ts";
import { createLog } from "../../src/log.ts";
import { createContainerDependencies } from "../../src/shim/dependencies.ts";
import type { Container } from "../../src/task/container.ts";
import { type CreateOptions, createContainer } from "../../src/task/create-container.ts";
import { type Mutation, mutate, mutationsOf, type Place, placesOf } from "../bad-input/mutations.ts";
import { isReadable, namesPlace } from "../bad-input/naming.ts";
import { runnableSpec, runnableUserSpec } from "../bad-input/runnable-spec.ts";
import { eventually, executable } from "./linux-container.ts";

type Json = Record<string, unknown>;
interface Change {
  readonly place: Place;
  readonly mutation: Mutation;
}

const inside = "TANDEM_FUZZ_INSIDE";
const runs = Number(process.env["TANDEM_FUZZ_RUNS"] ?? 150);
const seed = process.env["TANDEM_FUZZ_SEED"];
const parameters = {
  numRuns: runs,
  endOnFailure: true,
  includeErrorInReport: true,
  ...(seed === undefined ? {} : { seed: Number(seed) }),
};

const bad = suite("bad config.json, with containers");
const layout = cgroupLayout();
const parent = `/tandem-fuzz-${process.pid}`;
let bundle: string;

function createRootfs(): void {
  const rootfs = join(bundle, "rootfs");
  for (const name of ["bin", "proc", "sys", "dev", "tmp", "etc"])
    mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync("/bin/busybox", join(rootfs, "bin/busybox"));
  for (const applet of ["sleep", "true", "sh"]) symlinkSync("busybox", join(rootfs, "bin", applet));
  mkdirSync(join(bundle, "data"));
}

bad.before(async () => {
  // With its first stream libuv opens /dev/null, once and for good (uv__stream_init): here, and not in one of the tests.
  await once(spawn("true", { stdio: "pipe" }), "close");
  bundle = mkdtempSync(join(tmpdir(), "tandem-bad-spec-"));
  // Whatever a container makes in its root goes with this mount, and the mount with the namespace that this file runs in.
  assert.is(spawnSync("mount", ["-t", "tmpfs", "tmpfs", bundle]).status, 0);
  createRootfs();
  // Nobody has anything to write anywhere else: here an attempt is an error.
  assert.is(spawnSync("mount", ["-o", "remount,bind,ro", "/"]).status, 0);
});

bad.after(() => {
  assert.is(spawnSync("mount", ["-o", "remount,bind,rw", "/"]).status, 0);
  assert.is(spawnSync("umount", ["-l", bundle]).status, 0);
  rmdirSync(bundle);
  for (const { mountPoint } of layout.hierarchies)
    if (existsSync(mountPoint + parent)) rmdirSync(mountPoint + parent);
});

const { log } = createLog();
log.level = "silent";
const dependencies = createContainerDependencies({
  socketPath: "/run/none",
  zygote: { socket: "/run/none", launcher: "/bin/false" },
  containerInit: executable,
  events: { publish: () => undefined },
  log,
  lookup: async () => undefined,
});

function createOptions(terminal: boolean): CreateOptions {
  return {
    id: "c1",
    namespace: `tandem-fuzz-${process.pid}`,
    bundle,
    rootfs: [],
    stdio: { stdin: "", stdout: "", stderr: "", terminal },
    options: defaultRuntimeOptions,
    checkpoint: "",
  };
}

/** A container from this config.json, through its whole life; the error that ended it early, or undefined. */
async function live(config: string): Promise<TandemError | undefined> {
  writeFileSync(join(bundle, "config.json"), config);
  let container: Container | undefined;
  try {
    const options = createOptions(loadSpec(bundle).process?.terminal === true);
    container = await createContainer(options, dependencies);
    assert.is(container.init.status, "created");
    assert.ok(existsSync(`/proc/${container.init.pid}`), "a container that was created has a process");
    await container.start("");
    return undefined;
  } catch (error) {
    if (error instanceof TandemError) return error;
    throw error;
  } finally {
    await container?.delete("").catch(async (error: unknown) => {
      // It runs: killed, it can be deleted.
      if (!(error instanceof TandemError) || error.code !== "failed_precondition") throw error;
      await container?.kill("", 9, true).catch(ignoreFinished);
      await container?.init.wait();
      await container?.delete("");
    });
  }
}

function ignoreFinished(error: unknown): void {
  if (!(error instanceof TandemError) || error.code !== "not_found") throw error;
}

interface Machine {
  readonly mounts: readonly string[];
  readonly descriptors: readonly string[];
  readonly children: readonly string[];
  readonly files: readonly string[];
}

function lookAround(): Machine {
  const threads = readdirSync("/proc/self/task");
  return {
    mounts: readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n"),
    descriptors: readdirSync("/proc/self/fd").flatMap(descriptorOf).sort(),
    children: threads.flatMap((id) =>
      readFileSync(`/proc/self/task/${id}/children`, "utf8").split(" ").filter(Boolean),
    ),
    files: readdirSync(bundle).filter((name) => name !== "config.json"),
  };
}

/** The same; mounts that have gone count as there: others have removed the directories that they were on. */
function since(before: Machine): Machine {
  const now = lookAround();
  const mounts = now.mounts.filter((mount) => !before.mounts.includes(mount));
  return { ...now, mounts: [...before.mounts, ...mounts] };
}

/** The descriptor of the listing itself is gone when it is asked for. */
function descriptorOf(fd: string): string[] {
  try {
    const target = readlinkSync(`/proc/self/fd/${fd}`);
    return target.startsWith("/proc/") ? [] : [`${fd} ${target}`];
  } catch {
    return [];
  }
}

function cgroupsOf(config: string): readonly string[] {
  try {
    const { linux } = JSON.parse(config) as { linux?: { cgroupsPath?: string } };
    const request = { namespace: `tandem-fuzz-${process.pid}`, id: "c1", systemd: false };
    return cgroupPaths(layout, { ...request, cgroupsPath: linux?.cgroupsPath }).all;
  } catch {
    return [];
  }
}

/** What creation makes above a container's cgroup stays, for the next container; here there is none. */
function removeEmptyParents(directories: readonly string[], before: ReadonlySet<string>): void {
  for (const directory of directories) {
    const mount = layout.hierarchies.find(({ mountPoint }) =>
      directory.startsWith(`${mountPoint}/`),
    )?.mountPoint;
    for (
      let up = join(directory, "..");
      mount !== undefined && up.length > mount.length;
      up = join(up, "..")
    ) {
      if (
        !before.has(up) &&
        existsSync(up) &&
        readdirSync(up, { withFileTypes: true }).every((one) => one.isFile())
      )
        rmdirSync(up);
    }
  }
}

function existingParents(directories: readonly string[]): Set<string> {
  const existing = new Set<string>();
  for (const directory of directories) {
    for (let up = join(directory, ".."); up.length > 1; up = join(up, ".."))
      if (existsSync(up)) existing.add(up);
  }
  return existing;
}

function assertNamed(error: TandemError, what: string, changes: readonly Change[]): void {
  assert.ok(isReadable(error.message), `${what}: ${JSON.stringify(error.message)}`);
  assert.is.not(error.code, "internal", `${what}: ${error.message}`);
  assert.ok(
    changes.some(({ place }) => namesPlace(error.message, place)),
    `${what}: refused by another name: ${error.message}`,
  );
}

async function check(spec: Json, changes: readonly Change[]): Promise<void> {
  const config = mutate(spec, changes);
  const what = changes.map(({ place, mutation }) => `${place.name} := ${mutation.name}`).join(", ");
  const cgroups = cgroupsOf(config);
  const existing = existingParents(cgroups);
  const before = lookAround();
  const error = await live(config);
  await eventually(() => JSON.stringify(since(before)) === JSON.stringify(before));
  assert.equal(since(before), before, `${what}: something is left behind`);
  assert.equal(
    cgroups.filter((path) => existsSync(path)),
    [],
    `${what}: a cgroup is left behind`,
  );
  removeEmptyParents(cgroups, existing);
  if (error === undefined) return;
  assertNamed(error, what, changes);
}

/** Another directory of the machine as the container's root is nothing to play with. */
function isHarmless({ place, mutation }: Change): boolean {
  if (place.rule.path !== "root.path" || mutation.text === undefined) return true;
  const value: unknown = mutation.text.length > 10_000 ? "" : JSON.parse(mutation.text);
  return (
    typeof value !== "string" || (join(bundle, value).startsWith(`${bundle}/`) && !value.startsWith("/"))
  );
}

async function checkAll(spec: Json, part: string): Promise<void> {
  const failures: string[] = [];
  for (const place of placesOf(spec).filter(({ rule }) => rule.path.includes(part))) {
    for (const mutation of mutationsOf(place).filter((one) => isHarmless({ place, mutation: one }))) {
      await check(spec, [{ place, mutation }]).catch((error: Error) => failures.push(error.message));
    }
  }
  assert.equal(failures, []);
}

const bases = { "": runnableSpec(`${parent}/c1`), " in a user namespace": runnableUserSpec(`${parent}/c1`) };
for (const [where, spec] of Object.entries(bases)) {
  bad(`the container that all this starts from can be made${where}`, () => check(spec, []));

  bad(
    `a property that is wrong gives a container or its name, and leaves nothing behind${where}`,
    async () => {
      const all = process.env["TANDEM_FUZZ_ALL"];
      if (all !== undefined) return await checkAll(spec, all);
      const change = fc
        .constantFrom(...placesOf(spec))
        .chain((place) =>
          fc.record({ place: fc.constant(place), mutation: fc.constantFrom(...mutationsOf(place)) }),
        )
        .filter(isHarmless);
      await fc.assert(
        fc.asyncProperty(change, (one) => check(spec, [one])),
        parameters,
      );
    },
  );
}

bad("a limit on memory that is too low for any process is the error, by its name", async () => {
  const spec = runnableSpec(`${parent}/c1`);
  const place = placesOf(spec).find(({ rule }) => rule.path === "linux.resources.memory.limit");
  assert.ok(place !== undefined);
  const resources = placesOf(spec).find(({ rule }) => rule.path === "linux.resources.memory");
  for (const limit of [4096, 65_536]) {
    const mutation = { name: String(limit), text: JSON.stringify({ limit }) };
    if (resources !== undefined) await check(spec, [{ place: resources, mutation }]);
  }
});

/** Another process in a container; the error that kept it from running, or undefined. */
async function execute(container: Container, json: unknown): Promise<TandemError | undefined> {
  let isAdded = false;
  try {
    const process = parseProcess(json);
    const terminal = process.terminal === true;
    await container.addExec("e1", process, { stdin: "", stdout: "", stderr: "", terminal });
    isAdded = true;
    await container.start("e1");
    await container.kill("e1", 9, false).catch(ignoreFinished);
    await container.process("e1").wait();
    return undefined;
  } catch (error) {
    if (error instanceof TandemError) return error;
    throw error;
  } finally {
    if (isAdded) await container.delete("e1");
  }
}

bad(
  "the process of an exec that is wrong runs or is refused by name, and the container goes on",
  async () => {
    const spec = runnableSpec(`${parent}/c1`);
    writeFileSync(join(bundle, "config.json"), JSON.stringify(spec));
    const container = await createContainer(createOptions(false), dependencies);
    const places = placesOf(spec).filter(({ rule }) => rule.path.startsWith("process."));
    const change = fc
      .constantFrom(...places)
      .chain((place) =>
        fc.record({ place: fc.constant(place), mutation: fc.constantFrom(...mutationsOf(place)) }),
      );
    try {
      await container.start("");
      await fc.assert(
        fc.asyncProperty(change, async (one) => {
          const what = `${one.place.name} := ${one.mutation.name}`;
          const before = lookAround();
          const { process: json } = JSON.parse(mutate(spec, [one])) as Json;
          const error = await execute(container, json);
          await eventually(() => JSON.stringify(since(before)) === JSON.stringify(before));
          assert.equal(since(before), before, `${what}: something is left behind`);
          assert.is(container.init.status, "running", what);
          assert.equal(container.pids().length, 1, what);
          if (error !== undefined) assertNamed(error, what, [one]);
        }),
        parameters,
      );
    } finally {
      await container.kill("", 9, true);
      await container.init.wait();
      await container.delete("");
    }
  },
);

if (process.env[inside] === undefined) {
  // In a mount namespace of its own, where nobody else's mounts come and go.
  const args = [
    "--mount",
    "--propagation",
    "private",
    process.execPath,
    "--no-warnings",
    import.meta.filename,
  ];
  const { status } = spawnSync("unshare", args, { stdio: "inherit", env: { ...process.env, [inside]: "1" } });
  process.exitCode = status ?? 1;
} else {
  bad.run();
}
