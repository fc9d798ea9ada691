/** checkpoint and restore through criu; on a kernel or machine on which criu itself does not work, only what needs none of it. */
import { mkdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { native } from "../../src/native.ts";
import { annotations, counter, criu, numbers, waitForCount, whyNoCriu } from "./criu.ts";
import { screen } from "./linux-container.ts";
import { exitOf, OciCommands } from "./oci-commands.ts";

const checkpoint = suite("tandem-oci: checkpoint and restore");
let oci: OciCommands;

const reason = whyNoCriu();
if (reason !== "") process.stdout.write(`checkpoint and restore are left out: ${reason}\n`);
const withCriu = reason === "" ? checkpoint : checkpoint.skip;

checkpoint.before(() => {
  oci = new OciCommands();
});
checkpoint.after(async () => {
  await oci[Symbol.asyncDispose]();
});

withCriu(
  "a container goes on where it was, as the client's child, with its stdio, mounts and cgroup",
  async () => {
    const share = join(oci.directory, "share");
    mkdirSync(share);
    const bundle = oci.bundle(counter, {
      linux: {
        maskedPaths: ["/proc/kcore"],
        readonlyPaths: ["/proc/sys"],
        resources: { pids: { limit: 33 } },
      },
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"] },
        { destination: "/share", type: "bind", source: share, options: ["rbind"] },
        { destination: "/run", type: "tmpfs", source: "tmpfs" },
      ],
    });
    const output = await oci.begin("c1", bundle);
    await waitForCount(output, 5);
    await oci.ok("exec", "c1", "sh", "-c", "echo kept > /run/note");
    const before = (await oci.state("c1"))["pid"];
    const images = join(oci.directory, "images");
    await oci.ok(
      "--criu",
      criu,
      "checkpoint",
      "--image-path",
      images,
      "--work-path",
      join(oci.directory, "work"),
      "c1",
    );
    assert.equal(oci.leftovers(), []);
    const last = numbers(output).at(-1) ?? 0;
    const flags = ["--criu", criu, "restore", "--bundle", bundle, "--image-path", images];
    // A regular file has to be as long as it was.
    const restored = oci.spawn([...flags, "c1"], output, "a");
    const ended = exitOf(restored);
    await waitForCount(output, last + 5);
    assert.equal(
      numbers(output),
      Array.from({ length: numbers(output).length }, (_, index) => index),
      "nothing is lost and nothing is said twice",
    );
    const state = await oci.state("c1");
    assert.is(state["status"], "running");
    assert.is.not(state["pid"], before);
    const parent = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${state["pid"]}/status`, "utf8"))?.[1];
    assert.is(Number(parent), restored.pid);
    assert.is(await oci.ok("exec", "c1", "cat", "/run/note"), "kept\n");
    writeFileSync(join(share, "file"), "from outside\n");
    assert.is(await oci.ok("exec", "c1", "cat", "/share/file"), "from outside\n");
    assert.match(await oci.ok("events", "--stats", "c1"), /"limit":33/);
    assert.ok(
      (JSON.parse(await oci.ok("ps", "--format=json", "c1")) as number[]).includes(Number(state["pid"])),
    );
    await oci.ok("kill", "c1", "USR1");
    await waitFor(() => readFileSync(output, "utf8").includes("got it"), 5_000, "the signal");
    await oci.ok("kill", "c1", "KILL");
    assert.is(await ended, 137);
    assert.equal(oci.leftovers(), []);
  },
);

withCriu(
  "--leave-running lets it run on; restore --detach leaves it to whoever called, with other pipes",
  async () => {
    const bundle = oci.bundle(counter, { annotations });
    const [first, second, pidFile] = ["first", "second", "pid"].map((name) => join(bundle, name));
    const images = join(oci.directory, "images2");
    await oci.shell(`($OCI run -d -b ${bundle} c2 2>&1 </dev/null | cat >${first}) >/dev/null 2>&1 &`);
    await waitForCount(first ?? "", 3);
    await oci.ok("--criu", criu, "checkpoint", "--leave-running", "--image-path", images, "c2");
    const then = numbers(first ?? "").at(-1) ?? 0;
    await waitForCount(first ?? "", then + 3);
    assert.is((await oci.state("c2"))["status"], "running");
    await oci.ok("delete", "-f", "c2");
    const flags = `--image-path ${images} --bundle ${bundle} --detach --pid-file ${pidFile}`;
    await oci.shell(
      `($OCI --criu ${criu} restore ${flags} c2 2>&1 </dev/null | cat >${second}) >/dev/null 2>&1 &`,
    );
    await waitForCount(second ?? "", then + 3);
    assert.ok(
      (numbers(second ?? "")[0] ?? 0) <= then + 1,
      "it goes on from the checkpoint, not from its end",
    );
    assert.is(Number(readFileSync(pidFile ?? "", "utf8")), (await oci.state("c2"))["pid"]);
    await oci.ok("delete", "-f", "c2");
    assert.equal(oci.leftovers(), []);
  },
);

withCriu("a terminal comes back with another master, which --console-socket gets", async () => {
  const path = join(oci.directory, "console.sock");
  const listener = native.listenStream(path);
  const nextMaster = (): number => {
    const { fd, fds } = native.acceptRequest(listener, 60_000) ?? { fd: -1, fds: [] };
    if (fd >= 0) native.close(fd);
    return fds[0] ?? -1;
  };
  const bundle = oci.bundle("tty; while read word; do echo heard $word; done", {
    annotations,
    process: { terminal: true },
  });
  await oci.begin("t1", bundle, "--console-socket", path);
  const before = nextMaster();
  assert.match(await screen(before, /dev\/\S+\r\n/), /\/dev\/\S+/);
  const images = join(oci.directory, "images-tty");
  await oci.ok("--criu", criu, "checkpoint", "--image-path", images, "t1");
  const flags = ["--bundle", bundle, "--image-path", images, "--console-socket", path, "--detach"];
  await oci.ok("--criu", criu, "restore", ...flags, "t1");
  const after = nextMaster();
  writeSync(after, "again\n");
  assert.match(await screen(after, /heard again/), /heard again/);
  await oci.ok("delete", "-f", "t1");
  for (const fd of [before, after, listener]) native.close(fd);
  assert.equal(oci.leftovers(), []);
});

withCriu("a restore that fails says why, and leaves nothing", async () => {
  const bundle = oci.bundle(counter, { annotations });
  const output = await oci.begin("c3", bundle);
  await waitForCount(output, 3);
  const images = join(oci.directory, "images3");
  await oci.ok("--criu", criu, "checkpoint", "--image-path", images, "c3");
  writeFileSync(join(images, "pstree.img"), "not an image");
  const { status, stderr } = await oci.run(
    "--criu",
    criu,
    "restore",
    "--bundle",
    bundle,
    "--image-path",
    images,
    "c3",
  );
  assert.is(status, 1);
  assert.match(stderr, /criu: failed: \S.+ \(.*restore\.log\)/);
  assert.equal(oci.leftovers(), []);
});

checkpoint("without criu both are refused, and the container runs on", async () => {
  await oci.begin("c4", oci.bundle("sleep 1000"));
  const missing = await oci.run("--criu", "/nowhere/criu", "checkpoint", "c4");
  assert.is(missing.status, 1);
  assert.match(missing.stderr, /\/nowhere\/criu: not found; checkpoint and restore need criu/);
  assert.is((await oci.state("c4"))["status"], "running");
  const restored = await oci.run("--criu", "/nowhere/criu", "restore", "--bundle", oci.bundle("true"), "c5");
  assert.match(restored.stderr, /not found; checkpoint and restore need criu/);
  await oci.ok("delete", "-f", "c4");
  assert.equal(oci.leftovers(), []);
});

checkpoint("only what runs can be written to disk", async () => {
  await oci.create("c6", oci.bundle("true"));
  assert.match((await oci.run("checkpoint", "c6")).stderr, /container c6: is created/);
  await oci.ok("start", "c6");
  await oci.waitForStatus("c6", "stopped");
  assert.match((await oci.run("checkpoint", "c6")).stderr, /container not running/);
  await oci.ok("delete", "c6");
});

checkpoint("options that make no sense are refused by their names", async () => {
  await oci.begin("c7", oci.bundle("sleep 1000"));
  for (const flags of [
    ["--manage-cgroups-mode=maybe"],
    ["--page-server", "nowhere"],
    ["--parent-path", "/absolute"],
    ["--parent-path", "missing"],
    ["--empty-ns", "pid"],
  ]) {
    const images = join(oci.directory, "images7");
    const { status, stderr } = await oci.run(
      "--criu",
      "/bin/false",
      "checkpoint",
      "--image-path",
      images,
      ...flags,
      "c7",
    );
    assert.is(status, 1);
    assert.match(
      stderr,
      new RegExp(flags[0]?.replace(/^--|=.*/g, "").replace("manage-cgroups-mode", "cgroups mode") ?? ""),
    );
  }
  await oci.ok("delete", "-f", "c7");
});

checkpoint.run();
