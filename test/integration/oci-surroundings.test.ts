/** What the command line finds around it: environment, descriptors, working directory, long arguments, two roots. */
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { run } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { processStat } from "../../src/process-stat.ts";
import { ociBinary } from "../support/household.ts";
import { exitOf, jsonLines, OciCommands } from "./oci-commands.ts";

const around = suite("tandem-oci: surroundings");
let oci: OciCommands;

around.before(() => {
  oci = new OciCommands();
});
around.after(async () => {
  await oci[Symbol.asyncDispose]();
});

around("an empty environment without a PATH is enough", async () => {
  const { TANDEM_RUN_DIR, TANDEM_STATE_DIR } = oci.environment;
  const clean = [
    "/usr/bin/env",
    "-i",
    `TANDEM_RUN_DIR=${TANDEM_RUN_DIR}`,
    `TANDEM_STATE_DIR=${TANDEM_STATE_DIR}`,
  ];
  const [program = "", ...args] = clean;
  const bundle = oci.bundle("echo $PATH");
  const ran = await run(program, [...args, ociBinary, "--root", oci.root, "run", "-b", bundle, "a1"]);
  assert.is(ran.stdout, "/usr/bin:/bin\n", ran.stderr);
  await oci.create("a2", oci.bundle("true"));
  const listed = await run(program, [...args, ociBinary, "--root", oci.root, "ps", "a2"]);
  assert.match(listed.stdout, /PID/, listed.stderr);
  await oci.ok("delete", "a2");
});

around("in a mount namespace of somebody's own nothing runs on once its containers are gone", async () => {
  const zygotes = () => globSync(join(oci.runDirectory, "z/*/zygote.pid"));
  const before = zygotes();
  const bundle = oci.bundle("sleep 5; echo done");
  const { status, stdout } = await oci.shell(
    `$OCI create -b ${bundle} n1 </dev/null >${bundle}/output 2>&1 && $OCI start n1 && sleep 3 && $OCI state n1`,
    ["unshare", "--mount"],
  );
  assert.is(status, 0);
  assert.match(stdout, /"running"/);
  const [own, ...more] = zygotes().filter((file) => !before.includes(file));
  assert.ok(own !== undefined && more.length === 0);
  await waitFor(async () => readFileSync(join(bundle, "output"), "utf8") === "done\n", 10_000, "its end");
  // It still has a container, which the server of another namespace deletes.
  assert.ok(existsSync(own));
  await oci.ok("delete", "n1");
  await waitFor(() => zygotes().length === before.length, 20_000, "the end of its zygote");
});

around(
  "a mount namespace of somebody's own is not kept for others' containers in the same --root",
  async () => {
    const zygotes = () => globSync(join(oci.runDirectory, "z/*/zygote.pid"));
    await oci.begin("n2", oci.bundle("sleep 1000"));
    const before = zygotes();
    const { status, stdout } = await oci.shell("$OCI list --quiet", ["unshare", "--mount"]);
    assert.is(status, 0);
    assert.is(stdout, "n2\n");
    assert.is(zygotes().length, before.length + 1);
    await waitFor(() => zygotes().length === before.length, 20_000, "the end of its zygote");
    assert.is((await oci.state("n2"))["status"], "running");
    await oci.ok("delete", "--force", "n2");
  },
);

around("a server that is asked to end does so in order, and tells who it is until then", async () => {
  await oci.begin("n3", oci.bundle("sleep 1000"));
  const { server = 0 } = oci.servers() ?? {};
  const [file = "", ...more] = globSync(join(oci.runDirectory, "z/*/oci.pid"));
  assert.equal(more, []);
  assert.is(readFileSync(file, "utf8"), `${server} ${processStat(server)?.startTime}\n`);
  assert.is(readFileSync(`/proc/${server}/comm`, "utf8"), "tandem-server\n");
  const bundle = oci.bundle("sleep 2; echo done");
  const output = join(bundle, "output");
  const last = exitOf(oci.spawn(["run", "--bundle", bundle, "n4"], output));
  await oci.waitForStatus("n4", "running");
  process.kill(server, "SIGTERM");
  await waitFor(() => !existsSync(join(dirname(file), "oci.sock")), 10_000, "the end of its socket");
  // What has begun is gone on with, and what comes now is another's.
  assert.is((await oci.state("n3"))["status"], "running");
  assert.is(await last, 0);
  assert.is(readFileSync(output, "utf8"), "done\n");
  await waitFor(() => !existsSync(`/proc/${server}`), 10_000, "the end of the server");
  const [next = 0] = readFileSync(file, "utf8").split(" ").map(Number);
  assert.is.not(next, server, "the next one's file stays");
  process.kill(next, "SIGTERM");
  await waitFor(() => !existsSync(file), 10_000, "the end of the next one's file");
  await waitFor(() => !existsSync(`/proc/${next}`), 10_000, "the end of the next one");
  await oci.ok("delete", "--force", "n3");
});

around("closed descriptors 0, 1 and 2 become /dev/null, for the container too", async () => {
  const bundle = oci.bundle(
    "readlink /proc/self/fd/0 > /tmp/fds; readlink /proc/self/fd/2 >> /tmp/fds; ls /proc/self/fd | wc -l >> /tmp/fds",
  );
  const { status } = await oci.shell(`$OCI run -b ${bundle} b1 <&- >&- 2>&-`);
  assert.is(status, 0);
  const [stdin, stderr, count] = readFileSync(join(bundle, "rootfs/tmp/fds"), "utf8").split("\n");
  assert.is(stdin, "/dev/null");
  assert.is(stderr, "/dev/null");
  // 0, 1, 2 and the one that ls reads the directory with.
  assert.is(Number(count), 4);
});

around("a reader of its output that went away does not keep it", async () => {
  const { status } = await oci.shell("$OCI features | true; $OCI list");
  assert.is(status, 0);
});

around("a working directory that was removed is only missed when a path is relative", async () => {
  const directory = mkdtempSync("/tmp/to-gone-");
  const bundle = oci.bundle("echo fine");
  const enter = `cd ${directory}; rmdir ${directory};`;
  const absolute = await oci.shell(`${enter} $OCI run -b ${bundle} c1`);
  assert.is(absolute.stdout, "fine\n", absolute.stderr);
  const relative = await oci.shell(`mkdir ${directory}; ${enter} $OCI run c2`);
  assert.is(relative.status, 1);
  assert.match(relative.stderr, /the working directory does not exist/);
});

around("arguments of megabytes arrive", async () => {
  await oci.begin("d1", oci.bundle("sleep 1000"));
  const long = Array.from({ length: 12 }, (_, index) => String(index % 10).repeat(100_000));
  const { stdout, stderr } = await oci.run(
    "exec",
    "d1",
    "sh",
    "-c",
    'for a in "$@"; do echo $a | wc -c; done',
    "x",
    ...long,
  );
  assert.is(stdout.trim().split("\n").length, 12, stderr);
  assert.ok(stdout.startsWith("100001\n"));
  await oci.ok("delete", "-f", "d1");
});

around("without /proc it says so", async () => {
  const hide = ["/usr/bin/unshare", "--mount"];
  const { status, stderr } = await oci.shell("mount -t tmpfs none /proc && $OCI list", hide);
  assert.is(status, 1);
  assert.match(stderr, /\/proc: is not there/);
});

around("a file that is a pipe of the caller's is read by the caller", async () => {
  await oci.begin("piped", oci.bundle("exec sleep 100"));
  const json = JSON.stringify({ args: ["echo", "from a pipe"], cwd: "/", env: ["PATH=/bin"] });
  const exec = await oci.shell(`echo '${json}' | $OCI exec --process /dev/stdin piped`);
  assert.is(exec.stdout, "from a pipe\n", exec.stderr);
  const update = await oci.shell(`echo '{"pids":{"limit":77}}' | $OCI update --resources /dev/stdin piped`);
  assert.is(update.status, 0, update.stderr);
  const missing = await oci.shell("$OCI exec --process /dev/fd/33 piped");
  assert.is(missing.status, 255);
  assert.match(missing.stderr, /--process.*\/dev\/fd\/33: no such file/);
  await oci.ok("delete", "--force", "piped");
});

around("lines of a terminal that reach a pipe have no carriage returns", async () => {
  const bundle = oci.bundle("echo one; echo two", { process: { terminal: true } });
  const { stdout, stderr } = await oci.shell(`$OCI run --bundle ${bundle} lines </dev/null`);
  assert.is(stdout, "one\ntwo\n", stderr);
});

around("a read-only /dev has its console all the same", async () => {
  const bundle = oci.bundle("stat -c %F /dev/console; touch /dev/x 2>&1", {
    process: { terminal: true },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["ro", "nosuid", "mode=755"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["newinstance", "ptmxmode=0666"],
      },
    ],
  });
  const { stdout, stderr } = await oci.shell(`$OCI run --bundle ${bundle} readonly </dev/null`);
  assert.match(stdout, /^character special file\n.*Read-only file system\n$/, stderr);
});

around("a caller that is bound to one CPU does not bind its container", async () => {
  const bundle = oci.bundle("grep Cpus_allowed: /proc/self/status");
  const free = await oci.shell(`$OCI run --bundle ${bundle} free`);
  const bound = await oci.shell(`$OCI run --bundle ${bundle} bound`, ["taskset", "1"]);
  assert.match(bound.stdout, /^Cpus_allowed:\t[0-9a-f,]+\n$/);
  assert.is(bound.stdout, free.stdout, bound.stderr);
});

around("tandem oci is the same command line", async () => {
  const tandem = join(dirname(ociBinary), "tandem");
  const options = { environment: oci.environment };
  const version = await run(tandem, ["oci", "--version"], options);
  assert.match(version.stdout, /^tandem-oci version /, version.stderr);
  const missing = await run(tandem, ["oci", "--root", oci.root, "state", "a b"], options);
  assert.match(missing.stderr, /container id "a b"/);
  const help = await run(tandem, ["--help"], options);
  assert.match(help.stdout, /oci … +the command line of runc/);
});

around("two roots do not see each other", async () => {
  const other = join(oci.directory, "other");
  mkdirSync(other);
  await oci.create("f1", oci.bundle("true"));
  const listed = await run(ociBinary, ["--root", other, "list", "-q"], { environment: oci.environment });
  assert.is(listed.stdout, "");
  const deleted = await run(ociBinary, ["--root", other, "delete", "f1"], { environment: oci.environment });
  assert.match(deleted.stderr, /container f1: does not exist/);
  assert.is(await oci.ok("list", "-q"), "f1\n");
  await oci.ok("delete", "f1");
  rmSync(other, { recursive: true });
});

around(
  "without a path of its own a container's cgroup is below one for all, named by its root and id",
  async () => {
    const bundle = oci.bundle("cat /proc/self/cgroup", { linux: { cgroupsPath: "" } });
    const other = join(oci.directory, "root2");
    const paths: string[] = [];
    for (const root of [oci.root, other]) {
      const { stdout, stderr } = await run(ociBinary, ["--root", root, "run", "-b", bundle, "g1"], {
        environment: oci.environment,
      });
      const path = /:(\/\S*tandem-oci\/[0-9a-f]{8}-g1)$/m.exec(stdout)?.[1];
      assert.type(path, "string", stdout + stderr);
      paths.push(path ?? "");
    }
    assert.is.not(paths[0], paths[1]);
    assert.equal(
      globSync(`/sys/fs/cgroup/{*/,}tandem-oci/*-g1`).filter((path) =>
        paths.some((one) => path.endsWith(one)),
      ),
      [],
    );
    rmSync(other, { recursive: true, force: true });
  },
);

around("errors are in the log, in the format that was asked for, as well as on stderr", async () => {
  const file = join(oci.directory, "log");
  for (const flags of [
    ["--log", file, "--log-format", "json"],
    [`--log=${file}`, "--log-format=json"],
    ["-log", file, "-log-format=json", "-debug"],
  ]) {
    rmSync(file, { force: true });
    const { status, stderr } = await oci.run(...flags, "state", "none");
    assert.is(status, 1);
    assert.match(stderr, /container none: does not exist/);
    const line = jsonLines(readFileSync(file, "utf8")).at(-1);
    assert.equal(Object.keys(line ?? {}).sort(), ["level", "msg", "time"]);
    assert.is(line?.["level"], "error");
    assert.is(line?.["msg"], "container none: does not exist");
  }
  rmSync(file);
  await oci.run("--log", file, "state", "none");
  assert.match(readFileSync(file, "utf8"), /^time="\S+" level=error msg="container none: does not exist"\n$/);
});

around("options that only other runtimes need are taken", async () => {
  for (const flags of [
    ["--rootless", "auto"],
    ["--rootless=true"],
    ["--criu", "/usr/sbin/criu"],
    ["--cgroup-manager=cgroupfs"],
  ])
    assert.is((await oci.run(...flags, "list", "-q")).status, 0, flags.join(" "));
  assert.match((await oci.run("--nonsense", "list")).stderr, /unknown option --nonsense/);
  assert.match((await oci.run("nonsense")).stderr, /unknown command nonsense; see tandem-oci --help/);
});

around("a command line that is wrong is told where the right one is described", async () => {
  for (const [args, message] of [
    [["run", "--bundl", "x", "y"], /unknown option --bundl; see tandem-oci run --help/],
    [["kill"], /container id: is missing; see tandem-oci kill --help/],
    [["exec"], /container id: is missing; see tandem-oci exec --help/],
    [["list", "c1"], /unexpected c1; see tandem-oci list --help/],
  ] as const)
    assert.match((await oci.run(...args)).stderr, message, args.join(" "));
});

around("list says of what is damaged that it is there", async () => {
  const root = mkdtempSync(join(tmpdir(), "tandem-damaged-"));
  try {
    mkdirSync(join(root, "d1"), { mode: 0o700 });
    writeFileSync(join(root, "d1/state.json"), "{", { mode: 0o600 });
    const { status, stderr } = await oci.run("--root", root, "list");
    assert.is(status, 0);
    assert.match(stderr, /container d1: state.json is damaged: delete --force removes /);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

around(
  "descriptors of socket activation are passed on by whom they were given to, and by nobody else",
  async () => {
    const bundle = oci.bundle("echo $LISTEN_FDS; readlink /proc/self/fd/3");
    const told = (pid: string, id: string) =>
      oci.shell(`LISTEN_FDS=1 LISTEN_PID=${pid} exec $OCI run -b ${bundle} ${id} 3</proc`);
    assert.is((await told("$$", "l1")).stdout, "1\n/proc\n");
    // The variables were left in the environment of a child.
    assert.is((await told("1", "l2")).stdout, "\n");
  },
);

around.run();
