/** What `delete` does to mounts and cgroups. Mounts are made in a mount namespace of their own, cgroups below one of our own. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Finished } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { writeStateFile } from "../../src/bundle/state-file.ts";
import { Installation, isGone } from "./installation.ts";

interface Context {
  tandem: Installation;
  bundle: string;
  children: ChildProcess[];
  cgroups: string[];
}

const remove = suite<Context>("launcher delete, in the kernel");
const isRoot = process.getuid?.() === 0;
const asRoot = isRoot ? remove : remove.skip;
const nowhere = { cgroups: [], mounts: [], socket: "/nowhere", poststop: [] };

remove.before.each((context) => {
  context.tandem = new Installation();
  context.bundle = context.tandem.bundle("c1");
  context.children = [];
  context.cgroups = [];
});
remove.after.each(async (context) => {
  for (const child of context.children) child.kill("SIGKILL");
  await waitFor(
    () => context.children.every((child) => isGone(child.pid ?? 0)),
    5000,
    "the end of the test's processes",
  );
  for (const cgroup of context.cgroups.reverse()) if (existsSync(cgroup)) rmdirSync(cgroup);
  await context.tandem.dispose();
});

function deleteIn(
  context: Context,
  parameters: readonly string[] = ["-bundle", context.bundle],
): Promise<Finished> {
  return context.tandem.run(["-namespace", "ns", "-id", "c1", ...parameters, "delete"], { directory: "/" });
}

function sleeper(context: Context): number {
  const child = spawn("sleep", ["600"], { stdio: "ignore" });
  context.children.push(child);
  return child.pid ?? 0;
}

/** Runs a script in a mount namespace of its own: the machine's mounts stay as they are. */
function inMountNamespace(context: Context, script: string): string {
  const environment = {
    ...process.env,
    TANDEM_RUN_DIR: context.tandem.runDirectory,
    BUNDLE: context.bundle,
    LAUNCHER: context.tandem.launcher,
  };
  const result = spawnSync("unshare", ["--mount", "sh", "-euc", script], {
    env: environment,
    encoding: "utf8",
    timeout: 20_000,
  });
  assert.is(result.status, 0, result.stderr);
  return result.stdout;
}

asRoot("unmounts everything at and below rootfs, also what is stacked, and nothing beside it", (context) => {
  mkdirSync(join(context.bundle, "rootfs2"));
  const script = `
    cd "$BUNDLE"
    mount -t tmpfs a rootfs; mkdir "rootfs/a b" rootfs/c; mount -t tmpfs b "rootfs/a b"; mkdir "rootfs/a b/d"; mount -t tmpfs c "rootfs/a b/d"
    mount -t tmpfs d rootfs/c; mount -t tmpfs e rootfs/c; mount -t tmpfs f rootfs2
    cd /; "$LAUNCHER" -id c1 -bundle "$BUNDLE" delete > /dev/null
    grep -c "$BUNDLE/rootfs" /proc/self/mountinfo; grep -o "$BUNDLE/rootfs[^ ]*" /proc/self/mountinfo; ls -A "$BUNDLE/rootfs"`;
  assert.is(inMountNamespace(context, script), `1\n${context.bundle}/rootfs2\n`);
});

asRoot("detaches a rootfs that somebody keeps busy", (context) => {
  const script = `
    mount -t tmpfs a "$BUNDLE/rootfs"; (cd "$BUNDLE/rootfs" && exec sleep 600 > /dev/null 2>&1) & holder=$!
    while [ "$(readlink /proc/$holder/cwd)" != "$BUNDLE/rootfs" ]; do :; done
    cd /; "$LAUNCHER" -id c1 -bundle "$BUNDLE" delete > /dev/null
    kill $holder; grep -c "$BUNDLE/rootfs" /proc/self/mountinfo || true`;
  assert.is(inMountNamespace(context, script), "0\n");
});

asRoot("unmounts where the shim mounts, and nowhere else", (context) => {
  mkdirSync(join(context.tandem.directory, "elsewhere"));
  mkdirSync(join(context.bundle, "own"));
  const state = {
    ...nowhere,
    mounts: [join(context.tandem.directory, "elsewhere"), join(context.bundle, "own"), "/proc"],
  };
  writeStateFile(context.bundle, state);
  const script = `
    cd "$BUNDLE"; mount -t tmpfs a own; mount -t tmpfs b ../../elsewhere
    cd /; "$LAUNCHER" -id c1 -bundle "$BUNDLE" delete > /dev/null
    test -e /proc/self/stat; grep -o "/tmp/tl-[^ ]*" /proc/self/mountinfo`;
  assert.is(inMountNamespace(context, script), `${context.tandem.directory}/elsewhere\n`);
});

const freezer = "/sys/fs/cgroup/freezer";
const withFreezer = isRoot && existsSync(freezer) ? remove : remove.skip;

function makeCgroup(context: Context, path: string): string {
  mkdirSync(path);
  context.cgroups.push(path);
  return path;
}

withFreezer(
  "kills what is in the container's cgroups, frozen or nested, and removes them",
  async (context) => {
    const top = makeCgroup(context, join(freezer, `tl-${process.pid}`));
    const inner = makeCgroup(context, join(top, "inner"));
    const [first, second] = [sleeper(context), sleeper(context)];
    writeFileSync(join(top, "cgroup.procs"), String(first));
    writeFileSync(join(inner, "cgroup.procs"), String(second));
    writeFileSync(join(inner, "freezer.state"), "FROZEN");
    writeStateFile(context.bundle, { ...nowhere, cgroups: [top] });
    const began = Date.now();
    const result = await deleteIn(context);
    assert.is(result.stderr, "");
    assert.ok(Date.now() - began < 1000);
    assert.not.ok(existsSync(top));
    await waitFor(() => isGone(first) && isGone(second), 5000, "the end of both processes");
  },
);

withFreezer(
  "touches no cgroup with containerd in it, no hierarchy's root, and nothing that is no cgroup",
  async (context) => {
    const own = makeCgroup(context, join(freezer, `tl-${process.pid}`));
    const before = readFileSync("/proc/self/cgroup", "utf8").match(/freezer:(.*)/)?.[1] ?? "/";
    const pid = sleeper(context);
    writeFileSync(join(own, "cgroup.procs"), String(pid));
    writeFileSync(join(own, "cgroup.procs"), String(process.pid));
    try {
      const directory = join(context.tandem.directory, "not-a-cgroup");
      mkdirSync(directory);
      writeFileSync(join(directory, "cgroup.procs"), `${pid}\n`);
      const link = join(context.tandem.directory, "link");
      symlinkSync(own, link);
      writeStateFile(context.bundle, {
        ...nowhere,
        cgroups: [own, freezer, directory, link, `${own}/../tl-${process.pid}`],
      });
      const result = await deleteIn(context);
      assert.match(result.stderr, /holds containerd, left alone/);
      assert.not.ok(isGone(pid));
      assert.ok(existsSync(directory));
    } finally {
      writeFileSync(join(freezer, before, "cgroup.procs"), String(process.pid));
    }
  },
);

remove.run();
