/** Verbs of the command line that change a container: update, exec --cgroup, kill, pause, and what list and state say of it then. */
import { existsSync, globSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { native } from "../../src/native.ts";
import { exitOf, OciCommands } from "./oci-commands.ts";

const change = suite("tandem-oci: changing containers");
let oci: OciCommands;

change.before(() => {
  oci = new OciCommands();
});
change.after(async () => {
  await oci[Symbol.asyncDispose]();
});

/** Content of a file of the container's cgroup: v1's name, or v2's. */
function cgroupFile(bundle: string, v1: string, v2: string): string {
  const name = `${oci.cgroup}/${bundle.split("/").at(-1)}`;
  const [file] = [v1, v2].flatMap((one) => globSync(`/sys/fs/cgroup/{*/,}${name.slice(1)}/${one}`));
  if (file === undefined) throw new Error(`${name}: neither ${v1} nor ${v2}`);
  return readFileSync(file, "utf8").trim();
}

change(
  "update takes single limits, with units, up and down, in the order that the kernel wants",
  async () => {
    const bundle = oci.bundle("sleep 1000");
    await oci.begin("up1", bundle);
    await oci.ok("update", "--memory", "64M", "--memory-swap", "96M", "--pids-limit=21", "up1");
    const memory = (): string => cgroupFile(bundle, "memory.limit_in_bytes", "memory.max");
    assert.is(Number(memory()), 64 << 20);
    assert.is(cgroupFile(bundle, "pids.max", "pids.max"), "21");
    await oci.ok("update", "--memory=128MiB", "--memory-swap=256M", "up1");
    assert.is(Number(memory()), 128 << 20);
    await oci.ok("update", "--memory", String(32 << 20), "--memory-swap", "32m", "up1");
    assert.is(Number(memory()), 32 << 20);
    assert.is(cgroupFile(bundle, "pids.max", "pids.max"), "21", "what is not given stays");
    await oci.ok("update", "--memory=-1", "up1");
    assert.ok(memory() === "max" || Number(memory()) > 2 ** 60);
    await oci.ok("update", "up1");
    await oci.ok("delete", "-f", "up1");
  },
);

change("update takes resources as JSON, from stdin or from a file", async () => {
  const bundle = oci.bundle("sleep 1000");
  await oci.begin("up2", bundle);
  const input = JSON.stringify({ cpu: { quota: 20_000, period: 100_000 }, pids: { limit: 9 } });
  const { status, stderr } = await oci.call(["update", "--resources", "-", "up2"], { input });
  assert.is(status, 0, stderr);
  assert.is(cgroupFile(bundle, "pids.max", "pids.max"), "9");
  assert.match(cgroupFile(bundle, "cpu.cfs_quota_us", "cpu.max"), /^20000/);
  for (const [text, pattern] of [
    ["no json", /--resources: is not JSON/],
    ['{"pids":{"limit":"many"}}', /pids\.limit/],
  ] as const) {
    const refused = await oci.call(["update", "-r", "-", "up2"], { input: text });
    assert.is(refused.status, 1);
    assert.match(refused.stderr, pattern);
  }
  assert.match((await oci.run("update", "-r", "/nowhere", "up2")).stderr, /nowhere/);
  assert.match((await oci.run("update", "--memory", "lots", "up2")).stderr, /--memory lots/);
  assert.match((await oci.run("update", "--l3-cache-schema", "L3:0=f", "up2")).stderr, /linux\.intelRdt/);
  await oci.ok("delete", "-f", "up2");
});

change("exec --cgroup puts the process into a cgroup below the container's", async () => {
  const bundle = oci.bundle("sleep 1000");
  await oci.begin("ex1", bundle);
  const directories = globSync(`/sys/fs/cgroup/{*/,}${oci.cgroup.slice(1)}/${bundle.split("/").at(-1)}`);
  for (const directory of directories) mkdirSync(join(directory, "below"));
  const inside = await oci.ok("exec", "--cgroup", "below", "ex1", "cat", "/proc/self/cgroup");
  const lines = inside
    .trim()
    .split("\n")
    .filter((line) => line.includes(oci.cgroup));
  assert.ok(lines.length > 0 && lines.every((line) => line.endsWith("/below")), inside);
  if (existsSync("/sys/fs/cgroup/pids")) {
    const one = await oci.ok("exec", "--cgroup", "pids:below", "ex1", "cat", "/proc/self/cgroup");
    const where = (controller: string): string =>
      one.split("\n").find((line) => line.includes(`:${controller}:`)) ?? "";
    assert.match(where("pids"), /below$/);
    assert.not.match(where("memory"), /below$/);
  }
  assert.match((await oci.run("exec", "--cgroup", "nowhere", "ex1", "true")).stderr, /no such cgroup/);
  assert.match((await oci.run("exec", "--cgroup", "../..", "ex1", "true")).stderr, /leads out/);
  for (const directory of directories) rmdirSync(join(directory, "below"));
  await oci.ok("delete", "-f", "ex1");
});

change(
  "kill signals init, --all every process, also when init is gone and the pid namespace is not its own",
  async () => {
    const namespaces = ["mount", "uts", "ipc", "network"].map((type) => ({ type }));
    const bundle = oci.bundle("sleep 1000 & sleep 1000 & echo up; trap 'exit 0' TERM; wait", {
      linux: { namespaces },
    });
    const output = await oci.begin("ki1", bundle);
    await waitFor(() => readFileSync(output, "utf8") === "up\n", 10_000, "the program");
    const pids = JSON.parse(await oci.ok("ps", "-f", "json", "ki1")) as number[];
    assert.is(pids.length, 3);
    await oci.ok("kill", "ki1");
    await oci.waitForStatus("ki1", "stopped");
    const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/exe`);
    assert.is(pids.filter(isAlive).length, 2);
    await oci.ok("kill", "--all", "ki1", "SIGKILL");
    await waitFor(() => !pids.some(isAlive), 5_000, "the end of the rest");
    assert.match((await oci.run("kill", "-a", "ki1", "9")).stderr, /container not running/);
    assert.match((await oci.run("kill", "ki1", "NONSENSE")).stderr, /unknown signal "NONSENSE"/);
    await oci.ok("delete", "ki1");
  },
);

change(
  "delete ends what init has left behind in a pid namespace that is not its own, in a cgroup below",
  async () => {
    const namespaces = ["mount", "uts", "ipc", "network"].map((type) => ({ type }));
    const bundle = oci.bundle("sleep 1000 & echo $!", { linux: { namespaces } });
    const output = await oci.begin("le1", bundle);
    await oci.waitForStatus("le1", "stopped");
    const pid = Number(readFileSync(output, "utf8"));
    const directories = globSync(`/sys/fs/cgroup/{*/,}${oci.cgroup.slice(1)}/${bundle.split("/").at(-1)}`);
    for (const directory of directories) {
      mkdirSync(join(directory, "below"));
      // v1 alone has them in every cgroup, and takes no process before they are set.
      if (existsSync(join(directory, "below/cpuset.cpus")))
        for (const file of ["cpuset.cpus", "cpuset.mems"])
          writeFileSync(join(directory, "below", file), readFileSync(join(directory, file)));
      writeFileSync(join(directory, "below/cgroup.procs"), String(pid));
    }
    assert.ok(existsSync(`/proc/${pid}/exe`));
    await oci.ok("delete", "le1");
    assert.not.ok(existsSync(`/proc/${pid}/exe`));
    assert.equal(oci.leftovers(), []);
  },
);

change("a paused container is paused, and can be killed all the same", async () => {
  await oci.begin("pa1", oci.bundle("sleep 1000"));
  await oci.ok("pause", "pa1");
  assert.is((await oci.state("pa1"))["status"], "paused");
  assert.match((await oci.run("pause", "pa1")).stderr, /is paused/);
  assert.match((await oci.run("exec", "pa1", "true")).stderr, /is paused/);
  await oci.ok("resume", "pa1");
  assert.is((await oci.state("pa1"))["status"], "running");
  await oci.ok("pause", "pa1");
  await oci.ok("kill", "pa1", "KILL");
  await oci.waitForStatus("pa1", "stopped");
  await oci.ok("delete", "pa1");
});

change("list shows every container in a table, as JSON, or its id alone", async () => {
  const bundle = oci.bundle("sleep 1000", { annotations: { colour: "red" } });
  await oci.begin("li1", bundle);
  await oci.create("li2", oci.bundle("true"));
  const [title = "", ...rows] = (await oci.ok("list")).trimEnd().split("\n");
  assert.match(title, /^ID +PID +STATUS +BUNDLE +CREATED +OWNER$/);
  assert.is(rows.length, 2);
  assert.match(rows[0] ?? "", new RegExp(`^li1 +\\d+ +running +${bundle} +\\d{4}-\\S+Z +root$`));
  const json = JSON.parse(await oci.ok("list", "--format", "json")) as Record<string, unknown>[];
  assert.equal(
    json.map(({ id, status, owner }) => [id, status, owner]),
    [
      ["li1", "running", "root"],
      ["li2", "created", "root"],
    ],
  );
  assert.is(await oci.ok("list", "-q"), "li1\nli2\n");
  const state = await oci.state("li1");
  assert.equal(state["annotations"], { colour: "red" });
  assert.is(state["bundle"], bundle);
  assert.is(state["rootfs"], join(bundle, "rootfs"));
  assert.is(state["ociVersion"], "1.2.0");
  assert.ok(Number.isInteger(state["pid"]) && !Number.isNaN(Date.parse(String(state["created"]))));
  for (const id of ["li1", "li2"]) await oci.ok("delete", "-f", id);
});

change("a pidfd of the process arrives at --pidfd-socket", async () => {
  const path = join(oci.directory, "pidfd.sock");
  const listener = native.listenStream(path);
  const bundle = oci.bundle("sleep 1000");
  await oci.create("pi1", bundle, "--pidfd-socket", path);
  const { fd, fds } = native.acceptRequest(listener, 5_000) ?? { fd: -1, fds: [] };
  const pid = Number((await oci.state("pi1"))["pid"]);
  assert.match(readFileSync(`/proc/self/fdinfo/${fds[0]}`, "utf8"), new RegExp(`^Pid:\\t${pid}$`, "m"));
  for (const one of [...fds, fd, listener]) native.close(one);
  await oci.ok("delete", "pi1");
});

change("a pid file is there when create ends, and a detached exec has its own", async () => {
  const bundle = oci.bundle("sleep 1000");
  const file = join(bundle, "pid");
  await oci.begin("pf1", bundle, "--pid-file", file);
  assert.is(readFileSync(file, "utf8"), String((await oci.state("pf1"))["pid"]));
  const second = join(bundle, "exec-pid");
  assert.is(
    await exitOf(
      oci.spawn(["exec", "-d", "--pid-file", second, "pf1", "sleep", "1000"], join(bundle, "out")),
    ),
    0,
  );
  const pids = JSON.parse(await oci.ok("ps", "-f", "json", "pf1")) as number[];
  assert.ok(pids.includes(Number(readFileSync(second, "utf8"))));
  await oci.ok("delete", "-f", "pf1");
  assert.equal(oci.leftovers(), []);
});

change.run();
