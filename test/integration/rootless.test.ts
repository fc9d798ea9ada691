import {
  closeSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Finished, run, runOk } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { cgroupLayout } from "../../src/isolation/cgroup/layout.ts";
import { native } from "../../src/native.ts";
import { encodeFields } from "../../src/zygote/request.ts";
import { ociBinary } from "../support/household.ts";
import { type RootlessSpec, RootlessUser } from "./rootless-user.ts";

const obstacle = RootlessUser.obstacle();
const all = suite("rootless");
let user: RootlessUser;
let other: RootlessUser;

all.before(async () => {
  if (obstacle !== undefined) return;
  user = await RootlessUser.create();
  other = await RootlessUser.create();
});
all.after(async () => {
  if (obstacle !== undefined) return;
  await user[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

function rootless(name: string, body: () => Promise<void>): void {
  if (obstacle === undefined) all(name, body);
  else all.skip(`${name} (${obstacle})`, body);
}

const withLinux =
  (linux: object, process: object = {}) =>
  (spec: RootlessSpec): object => ({
    ...spec,
    process: { ...spec.process, ...process },
    linux: { ...spec.linux, ...linux },
  });

const refusal = (change: (spec: RootlessSpec) => object): Promise<string> => refusalOf("", change);

/** What `run` says; nothing is left but the container that was there before. */
async function refusalOf(before: string, change: (spec: RootlessSpec) => object): Promise<string> {
  const { status, stderr } = await user.runBundle(await user.bundle("echo no", change));
  assert.is.not(status, 0);
  assert.equal(await user.ok("list", "--quiet"), before === "" ? "" : `${before}\n`);
  return stderr;
}

rootless("a user who is not root runs a container as the one id that they are", async () => {
  const bundle = await user.bundle("id -u; id -G; cat /proc/self/uid_map /proc/self/setgroups; touch /made");
  const { stdout, stderr } = await user.runBundle(bundle);
  assert.equal(stderr, "");
  assert.equal(stdout.split(/\s+/), ["0", "0", "0", String(user.uid), "1", "deny", ""]);
  assert.is(statSync(join(bundle, "rootfs/made")).uid, user.uid);
  for (const log of globSync(join(user.runtimeDirectory, "tandem/z/*/zygote.log")))
    assert.equal(readFileSync(log, "utf8"), "", "the zygote has nothing to complain of");
});

rootless("ranges of subordinate ids are mapped, with groups of the container's own", async () => {
  const identity = { user: { uid: 1000, gid: 1001, additionalGids: [7] } };
  const bundle = await user.bundle("id; cat /proc/self/uid_map", withLinux(user.ranges, identity));
  const { stdout, stderr } = await user.runBundle(bundle);
  assert.equal(stderr, "");
  assert.match(stdout, "uid=1000 gid=1001 groups=7\n");
  assert.match(stdout, new RegExp(`1 +${user.subordinate} +65536`));
});

rootless("a range of somebody else's is refused, and what was granted is said", async () => {
  const stderr = await refusal(
    withLinux({ uidMappings: [{ containerID: 0, hostID: other.subordinate, size: 10 }] }),
  );
  assert.match(stderr, "linux.uidMappings");
  assert.match(stderr, "not allowed");
  assert.match(stderr, `/etc/subuid has ${user.name}:${user.subordinate}:65536 for this user`);
});

rootless("a container without a user namespace is refused by that name", async () => {
  const stderr = await refusal((spec) => ({
    ...spec,
    linux: {
      namespaces: spec.linux.namespaces.filter((entry) => !("type" in entry && entry.type === "user")),
    },
  }));
  assert.match(stderr, "linux.namespaces: who is not root needs a user namespace");
});

rootless("create, state, start, exec, ps, kill and delete are a user's as they are root's", async () => {
  const bundle = await user.bundle("echo ready; exec sleep 1000");
  await user.create("life", bundle);
  assert.is(await user.status("life"), "created");
  const early = await user.oci(["exec", "life", "true"]);
  assert.match(early.stderr, "is created: only root can exec in it before it is started");
  await user.ok("start", "life");
  await waitFor(() => readFileSync(join(bundle, "output"), "utf8") === "ready\n", 5000, "output");
  assert.equal(await user.ok("exec", "life", "sh", "-c", "id -u; readlink /proc/1/exe"), "0\n/bin/busybox\n");
  assert.is((await user.oci(["exec", "life", "sh", "-c", "exit 7"])).status, 7);
  assert.is((JSON.parse(await user.ok("ps", "--format", "json", "life")) as number[]).length, 1);
  await user.ok("kill", "--all", "life", "KILL");
  await waitFor(async () => (await user.status("life")) === "stopped", 5000, "stopped");
  await user.ok("delete", "life");
  assert.equal(await user.ok("list", "--quiet"), "");
});

rootless("without a cgroup a container goes on, and what needs one says which", async () => {
  await user.begin("free", await user.bundle("exec sleep 1000"));
  const paused = await user.oci(["pause", "free"]);
  assert.is(paused.status, 1);
  assert.match(paused.stderr, /cannot be paused, it has no cgroup in \S+: none was delegated to this user/);
  const figures = await user.oci(["events", "--stats", "free"]);
  assert.match(figures.stderr, "no figures, the container has no cgroup: none was delegated to this user");
  const updated = await user.oci(["update", "--pids-limit", "10", "free"]);
  assert.match(updated.stderr, /linux.resources.pids.limit: cannot be set, the container has no cgroup in/);
  await user.ok("delete", "--force", "free");
  const stderr = await refusal(withLinux({ resources: { memory: { limit: 50_000_000 } } }));
  assert.match(stderr, "linux.resources.memory.limit: cannot be set");
});

/** A part of every hierarchy that belongs to the user. */
function delegate(name: string): { readonly dirs: readonly string[]; remove(): void } {
  const dirs = cgroupLayout().hierarchies.map(({ mountPoint }) => join(mountPoint, name));
  for (const directory of dirs) {
    mkdirSync(directory);
    if (directory.includes("/cpuset/"))
      for (const file of ["cpus", "mems"]) {
        const parent = readFileSync(join(directory, `../cpuset.${file}`), "utf8");
        writeFileSync(join(directory, `cpuset.${file}`), parent);
      }
  }
  return {
    dirs,
    remove: () => {
      for (const directory of dirs) rmdirSync(directory);
    },
  };
}

rootless("limits and the freezer work where cgroups were delegated", async () => {
  const name = basename(user.directory);
  const delegated = delegate(name);
  try {
    for (const directory of delegated.dirs) await runOk("chown", ["-R", `${user.uid}`, directory]);
    const resources = { memory: { limit: 50_003_968 }, pids: { limit: 33 } };
    const bundle = await user.bundle(
      "cat /sys/fs/cgroup/pids/pids.max; exec sleep 1000",
      withLinux({ resources, cgroupsPath: `/${name}/c` }),
    );
    await user.begin("limited", bundle);
    await waitFor(() => readFileSync(join(bundle, "output"), "utf8") === "33\n", 5000, "output");
    await user.ok("update", "--pids-limit", "44", "limited");
    await user.ok("pause", "limited");
    assert.is(await user.status("limited"), "paused");
    await user.ok("resume", "limited");
    assert.match(await user.ok("events", "--stats", "limited"), '"limit":50003968');
    await user.ok("delete", "--force", "limited");
    assert.equal(globSync(`/sys/fs/cgroup/{*/,}${name}/*/`), []);
  } finally {
    delegated.remove();
  }
});

/** What the user's container was recorded as, and how to damage it. */
function recordOf(id: string): {
  readonly pid: number;
  readonly whole: string;
  write(content: string): void;
} {
  const file = join(user.runtimeDirectory, "tandem/oci", id, "state.json");
  const whole = readFileSync(file, "utf8");
  const { pid } = JSON.parse(whole) as { readonly pid: number };
  return { pid, whole, write: (content) => writeFileSync(file, content) };
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/exe`);

rootless("without a cgroup a damaged record's process is what delete --force needs", async () => {
  await user.begin("torn", await user.bundle("exec sleep 1000"));
  const { pid, whole, write } = recordOf("torn");
  assert.equal((JSON.parse(whole) as { readonly cgroups: unknown }).cgroups, []);
  write("");
  const { status, stderr } = await user.oci(["delete", "--force", "torn"]);
  assert.is(status, 1);
  assert.match(stderr, /torn: its record is damaged and does not say where its processes are/);
  assert.ok(isAlive(pid));
  write(JSON.stringify({ ...(JSON.parse(whole) as object), spec: 5 }));
  await user.ok("delete", "--force", "torn");
  assert.not.ok(isAlive(pid));
  assert.equal(await user.ok("list", "--quiet"), "");
});

rootless("the usual cgroup of a damaged record is found wherever it was delegated", async () => {
  const name = basename(user.directory);
  const delegated = delegate(name);
  const dirs = delegated.dirs.filter((directory) => !directory.includes("/cpuset/"));
  for (const directory of dirs) for (const part of ["a", "b"]) mkdirSync(join(directory, part));
  const output = join(user.directory, "output");
  /** The command line, from a cgroup of the user's; a container that it leaves running keeps no pipe of ours. */
  const from = async (part: string, ...args: string[]): Promise<Pick<Finished, "status" | "stderr">> => {
    const files = dirs.map((directory) => join(directory, part, "cgroup.procs"));
    const script = `for file in ${files.join(" ")}; do echo $$ >$file; done; exec "$@" >${output} 2>&1`;
    const command = ["-c", script, "sh", ...user.command([ociBinary, ...args])];
    const { status } = await run("sh", command, { directory: "/" });
    return { status, stderr: readFileSync(output, "utf8") };
  };
  try {
    for (const directory of dirs) await runOk("chown", ["-R", `${user.uid}`, directory]);
    const bundle = await user.bundle("exec sleep 1000", withLinux({ cgroupsPath: undefined }));
    const ran = await from("a", "run", "--detach", "--bundle", bundle, "lost");
    assert.is(ran.status, 0, ran.stderr);
    const { pid, whole, write } = recordOf("lost");
    assert.match(whole, `/${name}/a/tandem-oci/lost"`);
    write("");
    const { status, stderr } = await from("b", "delete", "--force", "lost");
    assert.is(status, 0, stderr);
    assert.match(stderr, /removed \S+\/lost, \S+\/a\/tandem-oci\/lost/);
    assert.not.ok(isAlive(pid));
  } finally {
    for (const directory of dirs)
      for (const part of ["a/tandem-oci", "a", "b"])
        if (existsSync(join(directory, part))) rmdirSync(join(directory, part));
    delegated.remove();
  }
});

rootless("two users do not see each other, and neither server listens to the other", async () => {
  await user.begin("same", await user.bundle("exec sleep 1000"));
  await other.begin("same", await other.bundle("exec sleep 1000"));
  assert.equal(await user.ok("list", "--quiet"), "same\n");
  assert.is(statSync(join(user.runtimeDirectory, "tandem")).mode & 0o777, 0o700);
  for (const socket of globSync(join(user.runtimeDirectory, "tandem/z/*/*.sock"))) {
    assert.is(statSync(socket).mode & 0o777, 0o600);
    assert.is(statSync(socket).uid, user.uid);
  }
  const foreign = { TANDEM_RUN_DIR: join(user.runtimeDirectory, "tandem") };
  const { status, stderr } = await other.oci(["list"], { environment: foreign });
  assert.is(status, 1);
  assert.match(stderr, "Permission denied");
  await other.ok("delete", "--force", "same");
  assert.is(await user.status("same"), "running");
  await user.ok("delete", "--force", "same");
});

/** Asks by a message that the zygote would take from its own user. */
function isAnswered(path: string): boolean {
  const socket = native.connectSeqpacket(path);
  try {
    native.sendMessage(socket, encodeFields(["oci"]), []);
    const answer = native.receiveMessage(socket, { timeoutMs: 5000 });
    return answer !== undefined && answer.data.length > 0;
  } catch (error) {
    if (!["EPIPE", "ECONNRESET"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    return false;
  } finally {
    closeSync(socket);
  }
}

rootless(
  "who gets past the mode of a socket, as root does, is known by the kernel and not answered",
  async () => {
    await user.ok("list");
    const sockets = globSync(join(user.runtimeDirectory, "tandem/z/*/*.sock"));
    assert.is(sockets.length, 2, "the zygote's and the server's");
    for (const path of sockets) assert.is(isAnswered(path), false, path);
    await user.ok("list");
  },
);

rootless("namespaces of one's own containers can be joined, with their user namespace only", async () => {
  const network = { type: "network" };
  const first = await user.bundle("exec sleep 1000", (spec) =>
    withLinux({ namespaces: [...spec.linux.namespaces, network] })(spec),
  );
  await user.begin("host", first);
  const { pid } = JSON.parse(await user.ok("state", "host")) as { pid: number };
  const own = (type: string): boolean => !["user", "pid", "ipc"].includes(type);
  const joined = (file: string, type = file): object => ({ type, path: `/proc/${pid}/ns/${file}` });
  const guest = await user.bundle("id -u; ps; ls /sys/class/net", (spec) => {
    const { uidMappings: _, gidMappings: __, ...linux } = spec.linux;
    const namespaces = [
      ...spec.linux.namespaces.filter((entry) => own((entry as { type: string }).type)),
      ...[joined("user"), joined("pid"), joined("ipc"), joined("net", "network")],
    ];
    return { ...spec, linux: { ...linux, namespaces } };
  });
  const { stdout, stderr } = await user.runBundle(guest);
  assert.is(stderr, "");
  assert.match(stdout, /^0\n/);
  assert.match(stdout, /\n +1 0 +sleep 1000\n/);
  const alone = await refusalOf("host", (spec) =>
    withLinux({ namespaces: [...spec.linux.namespaces, joined("net", "network")] })(spec),
  );
  assert.match(alone, /linux.namespaces\[\d+\] network: setns/);
  await user.ok("delete", "--force", "host");
});

rootless("one user's containers of two --root are apart", async () => {
  const roots = [1, 2].map((number) => join(user.home, `root${number}`));
  const [first = "", second = ""] = roots;
  for (const root of roots) await user.begin("twin", await user.bundle("exec sleep 1000"), "--root", root);
  await user.ok("--root", first, "delete", "--force", "twin");
  assert.equal(await user.ok("--root", first, "list", "--quiet"), "");
  assert.equal(await user.ok("--root", second, "list", "--quiet"), "twin\n");
  await user.ok("--root", second, "delete", "--force", "twin");
});

rootless("without XDG_RUNTIME_DIR, or with another user's, files are below /tmp", async () => {
  const bundle = await user.bundle("echo hi");
  for (const value of ["", other.runtimeDirectory]) {
    const { stdout, stderr } = await user.runBundle(bundle, { environment: { XDG_RUNTIME_DIR: value } });
    assert.equal([stdout, stderr], ["hi\n", ""]);
  }
  assert.is(statSync(`/tmp/tandem-${user.uid}`).uid, user.uid);
});

rootless("an OOM score can be raised, for an exec as well, and not lowered", async () => {
  const raised = withLinux({}, { oomScoreAdj: 321 });
  const bundle = await user.bundle("cat /proc/self/oom_score_adj; exec sleep 1000", raised);
  await user.begin("oom", bundle);
  await waitFor(() => readFileSync(join(bundle, "output"), "utf8") === "321\n", 5000, "output");
  assert.equal(await user.ok("exec", "oom", "cat", "/proc/self/oom_score_adj"), "321\n");
  await user.ok("delete", "--force", "oom");
  const stderr = await refusal(withLinux({}, { oomScoreAdj: -500 }));
  assert.match(stderr, "process.oomScoreAdj: only the machine's root may lower it");
});

rootless("where user namespaces are forbidden, the setting that does it is named", async () => {
  const bundle = await user.bundle("echo no");
  // The limit is each user namespace's own: a container's root may lower it for those below.
  const script = `echo 0 > /proc/sys/user/max_user_namespaces && exec ${ociBinary} run --bundle ${bundle} forbidden`;
  const { status, stderr } = await user.do(["unshare", "--user", "--map-root-user", "sh", "-c", script]);
  assert.is(status, 1);
  assert.match(stderr, "linux.namespaces");
  assert.match(stderr, "user.max_user_namespaces: no more user namespaces may be made on this machine");
});

all.run();
