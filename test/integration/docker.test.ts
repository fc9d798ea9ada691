/**
 * Docker Engine by `runtimeType io.containerd.tandem.v1`, and by the path of tandem-oci: private daemons (support/docker.ts), the images made here, no registry.
 * The exit codes are docker-run(1)'s and those that runc leads to.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildModule } from "../../examples/hello-wasm/build.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { Docker, type Engine, whyNoDocker } from "../support/docker.ts";
import { busyboxLayer } from "../support/image.ts";

const runtimeType = "io.containerd.tandem.v1";
const config = {
  runtimes: { tandem: { runtimeType } },
  "default-runtime": "tandem",
  "live-restore": true,
  "shutdown-timeout": 5,
};
/** The newest engine that the suite is run on in full; the newest of all gets what differs between engines. */
const thorough: Engine = "26";
const newest: Engine = "28";

const scratch = mkdtempSync("/tmp/tdk-");
const archive = join(scratch, "busybox.tar");
let docker: Docker;

const engine = suite(`Docker Engine ${thorough}`);
const reason = whyNoDocker(thorough);
/** Registers a test, or says why it cannot be had here. */
const test = (name: string, body: () => Promise<void>): void => {
  if (reason === undefined) engine(name, body);
  else engine.skip(`${name} (${reason})`, body);
};

engine.before(async () => {
  const module = { path: "hello-wasm.wasm", content: await buildModule(), mode: 0o755 };
  writeFileSync(archive, (await busyboxLayer([module])).data);
  if (reason !== undefined) return;
  // Without Docker's own bridge a container starts sooner; the tests of networks make theirs.
  docker = await Docker.start(thorough, { ...config, bridge: "none" });
  await docker.ok(["import", archive, "busybox"]);
});
engine.after(async () => {
  if (reason === undefined) await docker[Symbol.asyncDispose]();
});

/** `docker run --rm` of a shell script in the test's image. */
const shell = (script: string, ...options: string[]) =>
  docker.docker(["run", "--rm", ...options, "busybox", "sh", "-c", script]);

/** A container in the background that ends when the test does. */
async function background(
  name: string,
  script: string,
  ...options: string[]
): Promise<AsyncDisposable & { readonly id: string }> {
  const id = await docker.ok(["run", "--detach", "--name", name, ...options, "busybox", "sh", "-c", script]);
  return {
    id,
    [Symbol.asyncDispose]: async () => {
      await docker.ok(["rm", "--force", "--volumes", name]);
    },
  };
}

const logs = (name: string) => docker.ok(["logs", name]);
const lines = (text: string): string[] => text.trimEnd().split(/\r?\n/);
const sleeps = "trap 'exit 0' TERM; sleep 1000 & wait";

test("runs a container by the runtime type of daemon.json and by its own name", async () => {
  for (const options of [[], ["--runtime", "tandem"], ["--runtime", runtimeType]]) {
    const hello = await shell("echo hello; echo oops >&2", ...options);
    assert.is(hello.status, 0, hello.stderr);
    assert.is(hello.stdout, "hello\n");
    assert.is(hello.stderr, "oops\n");
  }
  await using _box = await background("box", sleeps, "--runtime", runtimeType);
  assert.is(await docker.inspect("box", "{{.HostConfig.Runtime}}"), runtimeType);
  const pid = await docker.inspect("box", "{{.State.Pid}}");
  const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  assert.match(readFileSync(`/proc/${parent}/comm`, "utf8"), /tandem/);
});

test("docker run ends with the program's status, 127, 126 or 125", async () => {
  const run = async (...words: string[]) => (await docker.docker(["run", "--rm", ...words])).status;
  assert.is(await run("busybox", "sh", "-c", "exit 7"), 7);
  assert.is(await run("busybox", "sh", "-c", "kill -9 $$; exit 8"), 8, "process 1 does not kill itself");
  assert.is(await run("busybox", "nowhere"), 127);
  assert.is(await run("busybox", "/nowhere"), 127);
  assert.is(await run("busybox", "/etc"), 126);
  assert.is(await run("busybox", "/etc/passwd"), 126);
  assert.is(await run("--ulimit", "nofile=4000000000", "busybox", "true"), 125);
});

test("docker exec runs in the container, as whom and where it is told, and ends with the program's status", async () => {
  await using _box = await background("box", sleeps, "--env", "FIRST=1");
  const exec = (...words: string[]) => docker.docker(["exec", ...words]);
  const inside = ["-u", "1000:7", "-w", "/tmp", "-e", "SECOND=2", "box"];
  const { stdout } = await exec(
    ...inside,
    "sh",
    "-c",
    "id -u; id -g; pwd; echo $FIRST$SECOND; ls /proc/1/exe",
  );
  assert.equal(lines(stdout).slice(0, 4), ["1000", "7", "/tmp", "12"]);
  assert.is((await exec("box", "sh", "-c", "exit 9")).status, 9);
  assert.is((await exec("box", "/nowhere")).status, 126);
  assert.match((await exec("box", "nowhere")).stdout, /executable file not found in \$PATH/);
  const echoed = await docker.docker(["exec", "-i", "box", "cat"], { input: "to and fro" });
  assert.is(echoed.stdout, "to and fro");
  assert.is(await docker.ok(["exec", "-d", "box", "touch", "/tmp/detached"]), "");
  await waitFor(
    async () => (await exec("box", "test", "-e", "/tmp/detached")).status === 0,
    5000,
    "what a detached exec does",
  );
});

test("stdin reaches the program whole, and its end too", async () => {
  const input = "x".repeat(300_000);
  const counted = await docker.docker(["run", "--rm", "-i", "busybox", "wc", "-c"], { input });
  assert.is(counted.stdout.trim(), "300000");
});

test("a terminal has the size of the client's, for run and for exec", async () => {
  const size = { rows: 33, columns: 77 };
  const script = "tty; for i in $(seq 50); do [ \"$(stty size)\" = '33 77' ] && exit 4; sleep 0.1; done";
  const ran = await docker.onTerminal(size, ["run", "--rm", "-it", "busybox", "sh", "-c", script]);
  assert.match(ran.stdout, /\/dev\/pts\/0/);
  assert.is(ran.status, 4, ran.stdout);
  await using _box = await background("box", sleeps);
  const executed = await docker.onTerminal(size, ["exec", "-it", "box", "sh", "-c", script]);
  assert.match(executed.stdout, /\/dev\/pts\/0/);
  assert.is(executed.status, 4, executed.stdout);
});

test("stop sends SIGTERM, and SIGKILL to whom it does not end; kill sends what it is told", async () => {
  await using _polite = await background("polite", "trap 'echo bye; exit 3' TERM; sleep 1000 & wait");
  await using _deaf = await background("deaf", "trap '' TERM; echo up; sleep 1000");
  await waitFor(async () => (await logs("deaf")) === "up", 5000, "deaf's first word");
  await docker.ok(["stop", "polite"]);
  assert.is(await docker.inspect("polite", "{{.State.ExitCode}}"), "3");
  assert.is(await logs("polite"), "bye");
  await docker.ok(["stop", "--time", "1", "deaf"]);
  assert.is(await docker.inspect("deaf", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");

  await docker.ok(["start", "polite"]);
  await docker.ok(["kill", "--signal", "TERM", "polite"]);
  assert.is(await docker.ok(["wait", "polite"]), "3");
});

test("restart gives a new process, and a restart policy as many as it says", async () => {
  await using _box = await background("box", "echo again; trap 'exit 0' TERM; sleep 1000 & wait");
  const first = await docker.inspect("box", "{{.State.Pid}}");
  await docker.ok(["restart", "box"]);
  assert.is.not(await docker.inspect("box", "{{.State.Pid}}"), first);
  await waitFor(async () => (await logs("box")) === "again\nagain", 5000, "a second word");

  await using _failing = await background("failing", "echo try; exit 1", "--restart", "on-failure:2");
  const state = "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}";
  await waitFor(
    async () => (await docker.inspect("failing", state)) === "2 exited 1",
    10_000,
    "two restarts",
  );
  assert.is(await logs("failing"), "try\ntry\ntry");
});

test("a paused container stands still until it is unpaused", async () => {
  await using _box = await background("box", "i=0; while :; do i=$((i+1)); echo $i > /n; done");
  const read = () => docker.ok(["cp", "box:/n", "-"]);
  await docker.ok(["pause", "box"]);
  assert.is(await docker.inspect("box", "{{.State.Status}}"), "paused");
  const still = await read();
  assert.is(await read(), still);
  await docker.ok(["unpause", "box"]);
  assert.is(await docker.inspect("box", "{{.State.Status}}"), "running");
  await waitFor(async () => (await read()) !== still, 5000, "a step after the pause");
});

test("top, stats and update see and change the container's processes and cgroup", async () => {
  await using _box = await background("box", "sleep 777 & wait");
  const top = lines(await docker.ok(["top", "box", "-o", "pid,args"]));
  assert.is(top.length, 3);
  assert.match(top[2] ?? "", /sleep 777/);
  const stats = await docker.ok(["stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "box"]);
  assert.match(stats, /^2 \S*[1-9]\S*[KM]iB \//);

  const change = ["--memory", "64m", "--memory-swap", "64m", "--pids-limit", "50", "--cpus", "0.5"];
  await docker.ok(["update", ...change, "box"]);
  const limits = "cd /sys/fs/cgroup; cat pids/pids.max cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes";
  const unified = "cat pids.max cpu.max memory.max | cut -d' ' -f1";
  const seen = await docker.ok(["exec", "box", "sh", "-c", `${limits} 2>/dev/null || ${unified}`]);
  assert.equal(lines(seen), ["50", "50000", String(64 << 20)]);
});

test("a container that takes too much memory is killed, and Docker says why", async () => {
  const limits = ["--memory", "16m", "--memory-swap", "16m"];
  await using _box = await background("hog", "sleep 0.2; exec tail /dev/zero", ...limits);
  assert.is(await docker.ok(["wait", "hog"]), "137");
  assert.is(await docker.inspect("hog", "{{.State.OOMKilled}}"), "true");
});

test("a read-only root, a tmpfs, volumes and binds are what they say", async () => {
  const readonly = await shell("touch /x || touch /t/x && echo only there", "--read-only", "--tmpfs", "/t");
  assert.is(readonly.stdout, "only there\n");
  const volume = "tandem-volume";
  await docker.ok(["volume", "create", volume]);
  assert.is((await shell("echo kept > /v/f", "-v", `${volume}:/v`)).status, 0);
  const again = await shell("cat /v/f; echo more > /v/f", "-v", `${volume}:/v:ro`);
  assert.is(again.stdout, "kept\n");
  assert.match(again.stderr, /Read-only file system/);
  await docker.ok(["volume", "rm", volume]);
  writeFileSync(join(scratch, "bound"), "from outside\n");
  assert.is((await shell("cat /b/bound", "-v", `${scratch}:/b:ro`)).stdout, "from outside\n");
});

test("containers of a network find each other by name, and the host them by a published port", async () => {
  await docker.ok(["network", "create", "tandem-net"]);
  {
    const serve = "mkdir /w; echo page > /w/index.html; exec httpd -f -p 80 -h /w";
    const options = ["--network", "tandem-net", "--publish", "18080:80"];
    await using _server = await background("server", serve, ...options);
    const fetch = "for i in $(seq 50); do wget -qO- http://server/ && exit; sleep 0.1; done";
    assert.is((await shell(fetch, "--network", "tandem-net")).stdout, "page\n");
    const address = await docker.inspect("server", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}");
    const wget = ["wget", "-qO-", `http://${address}:18080/`];
    const published = await docker.containerd.inNetwork("busybox", wget, { timeoutMs: 10_000 });
    assert.is(published.stdout, "page\n", published.stderr);
    const shared = await shell("wget -qO- http://127.0.0.1/", "--network", "container:server");
    assert.is(shared.stdout, "page\n");
  }
  await docker.ok(["network", "rm", "tandem-net"]);
  assert.is((await shell("ls /sys/class/net", "--network", "none")).stdout, "lo\n");
  const outside = await docker.containerd.inNetwork("readlink", ["/proc/self/ns/net"]);
  assert.is((await shell("readlink /proc/self/ns/net", "--network", "host")).stdout, outside.stdout);
});

test("namespaces are shared with another container or the host when the user says so", async () => {
  await using _box = await background("box", "sleep 778 & wait");
  assert.match((await shell("ps", "--pid", "container:box")).stdout, /sleep 778/);
  const own = (type: string) => readFileSync(`/proc/sys/kernel/${type}`, "utf8");
  const outside = await shell(
    "hostname; ls /proc/$1/exe >/dev/null && echo seen",
    "--uts=host",
    "--pid=host",
    "--ipc=host",
  );
  assert.match(outside.stdout, new RegExp(`^${own("hostname").trim()}\n`));
  const cgroup = await shell("grep -v ':/$' /proc/self/cgroup | wc -l", "--cgroupns", "private");
  assert.is(cgroup.stdout.trim(), "0");
});

test("privileges are those that are granted, and no more", async () => {
  const status = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status";
  const dropped = ["--cap-drop", "ALL", "--cap-add", "NET_RAW", "--security-opt", "no-new-privileges"];
  const strict = await shell(status, ...dropped);
  assert.equal(lines(strict.stdout), ["CapEff:\t0000000000002000", "NoNewPrivs:\t1", "Seccomp:\t2"]);
  const usual = await shell(`${status}; unshare -m true || echo refused`);
  assert.equal(lines(usual.stdout), [
    "CapEff:\t00000000a80425fb",
    "NoNewPrivs:\t0",
    "Seccomp:\t2",
    "refused",
  ]);
  const privileged = await shell(`${status}; mount -t tmpfs none /tmp && echo mounted`, "--privileged");
  const own = readFileSync("/proc/self/status", "utf8");
  assert.ok(own.includes(lines(privileged.stdout)[0] ?? "nothing"), privileged.stdout);
  assert.match(privileged.stdout, /Seccomp:\t0\nmounted\n$/);
});

test("user, limits, sysctls, devices, shm, hostname and init reach the program", async () => {
  const options = [
    ...["--user", "nobody", "--ulimit", "nofile=100:200", "--sysctl", "net.ipv4.ip_default_ttl=77"],
    ...["--device", "/dev/kmsg:/dev/log0", "--shm-size", "8m", "--hostname", "boxed", "--init"],
  ];
  const script =
    "id -u; ulimit -n; cat /proc/sys/net/ipv4/ip_default_ttl; test -c /dev/log0 && echo device; hostname; ps -o args | sed -n 2p; grep /dev/shm /proc/mounts";
  const shown = lines((await shell(script, ...options)).stdout);
  assert.equal(shown.slice(0, 5), ["65534", "100", "77", "device", "boxed"]);
  assert.match(shown[5] ?? "", /docker-init/);
  assert.match(shown[6] ?? "", /size=8192k/);
});

test("a health check is seen to fail and to succeed", async () => {
  const check = ["--health-cmd", "test -e /tmp/ok", "--health-interval", "200ms", "--health-retries", "1"];
  await using _box = await background("box", sleeps, ...check);
  const becomes = (state: string) =>
    waitFor(async () => (await docker.inspect("box", "{{.State.Health.Status}}")) === state, 10_000, state);
  await becomes("unhealthy");
  await docker.ok(["exec", "box", "touch", "/tmp/ok"]);
  await becomes("healthy");
});

test("a container's changes can be listed, copied and made an image of", async () => {
  await using _box = await background("box", `echo made > /made; ${sleeps}`);
  await waitFor(async () => (await docker.ok(["diff", "box"])).includes("A /made"), 5000, "a change");
  await docker.ok(["commit", "box", "committed"]);
  assert.is(await docker.ok(["run", "--rm", "committed", "cat", "/made"]), "made");
});

test("a module in an image is run by the wasm executor, beside Linux containers", async () => {
  const run = ["run", "--rm", "--env", "A=1", "--name", "guest", "busybox", "/hello-wasm.wasm"];
  const greeted = lines(await docker.ok([...run, "greet", "you"]));
  assert.ok(greeted.includes("arg you") && greeted.includes("env A=1"), greeted.join("\n"));
  assert.is((await docker.docker([...run, "exit", "6"])).status, 6);
  await docker.ok(["run", "--detach", "--name", "guest", "busybox", "/hello-wasm.wasm", "sleep", "1000"]);
  await docker.ok(["stop", "--time", "5", "guest"]);
  assert.is(await docker.inspect("guest", "{{.State.ExitCode}}"), "143");
  await docker.ok(["rm", "guest"]);
});

test("containers live on while Docker is killed and comes back, and an end meanwhile is noticed", async () => {
  await using box = await background("box", `read x < /tmp/pipe; ${sleeps}`, "--init");
  await using dying = await background("dying", sleeps);
  const pid = Number(await docker.inspect(dying.id, "{{.State.Pid}}"));
  await docker.endDaemon("SIGKILL");
  process.kill(pid, "SIGKILL");
  await docker.startDaemon();
  assert.is(await docker.inspect(box.id, "{{.State.Running}}"), "true");
  await waitFor(
    async () => (await docker.inspect(dying.id, "{{.State.Status}} {{.State.ExitCode}}")) === "exited 137",
    10_000,
    "the end that happened meanwhile",
  );
  assert.is(await docker.ok(["exec", box.id, "echo", "alive"]), "alive");
  await docker.ok(["stop", box.id]);
});

test("containers live on while containerd is killed and comes back", async () => {
  await using box = await background("box", `echo up; ${sleeps}`);
  await docker.containerd.kill9();
  await docker.containerd.start();
  await waitFor(
    async () => (await docker.docker(["exec", box.id, "true"])).status === 0,
    20_000,
    "an exec after containerd's return",
  );
  await docker.ok(["stop", box.id]);
  assert.is(await docker.inspect(box.id, "{{.State.ExitCode}}"), "0");
});

test("nothing is left when the containers are removed", async () => {
  await docker.ok(["run", "--detach", "busybox", "sleep", "1000"]);
  await docker.assertClean();
});

engine.run();

const latest = suite(`Docker Engine ${newest}`);
const noLatest = whyNoDocker(newest);
const smoke = "runs, executes, stops and removes a container";
if (noLatest !== undefined) latest.skip(`${smoke} (${noLatest})`, () => undefined);
else
  latest(smoke, async () => {
    await using daemon = await Docker.start(newest, config);
    await daemon.ok(["import", archive, "busybox"]);
    assert.is(await daemon.ok(["run", "--rm", "busybox", "echo", "hello"]), "hello");
    assert.is((await daemon.docker(["run", "--rm", "busybox", "/etc/passwd"])).status, 126);
    await daemon.ok(["run", "--detach", "--name", "box", "busybox", "sh", "-c", sleeps]);
    assert.is((await daemon.docker(["exec", "box", "sh", "-c", "exit 5"])).status, 5);
    await daemon.ok(["stop", "box"]);
    assert.is(await daemon.inspect("box", "{{.State.ExitCode}}"), "0");
    await daemon.assertClean();
  });
latest.run();

/** Before Engine 23 a runtime is a program with runc's command line, called by containerd's runc shim. */
const byPath: Engine = "20.10";
const older = suite(`Docker Engine ${byPath} by the path of tandem-oci`);
const noOlder = whyNoDocker(byPath);
const life = "runs, executes, pauses, updates, stops and removes a container";
if (noOlder !== undefined) older.skip(`${life} (${noOlder})`, () => undefined);
else
  older(life, async () => {
    const path = fileURLToPath(new URL("../../dist/bin/tandem-oci", import.meta.url));
    await using daemon = await Docker.start(byPath, {
      ...config,
      runtimes: { tandem: { path } },
      bridge: "none",
    });
    await daemon.ok(["import", archive, "busybox"]);
    const run = async (...words: string[]) => (await daemon.docker(["run", "--rm", ...words])).status;
    assert.is(await run("busybox", "sh", "-c", "exit 7"), 7);
    assert.is(await run("busybox", "nowhere"), 127);
    assert.is(await run("busybox", "/etc/passwd"), 126);
    const limits = ["--memory", "16m", "--memory-swap", "16m"];
    assert.is(await run(...limits, "busybox", "sh", "-c", "sleep 0.2; exec tail /dev/zero"), 137);
    const trap = "trap 'exit 3' TERM; sleep 1000 & wait";
    await daemon.ok(["run", "--detach", "--name", "box", "busybox", "sh", "-c", trap]);
    assert.is((await daemon.docker(["exec", "box", "sh", "-c", "exit 5"])).status, 5);
    await daemon.ok(["pause", "box"]);
    await daemon.ok(["unpause", "box"]);
    await daemon.ok(["update", "--memory", "64m", "--memory-swap", "64m", "box"]);
    await daemon.ok(["stop", "box"]);
    assert.is(await daemon.inspect("box", "{{.State.ExitCode}}"), "3");
    const terminal = ["run", "--rm", "-it", "busybox", "sh", "-c", "tty; exit 4"];
    const shown = await daemon.onTerminal({ rows: 33, columns: 77 }, terminal);
    assert.match(shown.stdout, /\/dev\/pts\/0/);
    assert.is(shown.status, 4);
    await daemon.assertClean();
  });
older.after(() => rmSync(scratch, { recursive: true }));
older.run();
