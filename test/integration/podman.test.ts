/**
 * podman with `--runtime tandem-oci`: a podman of its own (support/podman.ts), an image made here, no network but loopback.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { busyboxLayer } from "../support/image.ts";
import { Podman, whyNoPodman } from "../support/podman.ts";

const scratch = mkdtempSync("/tmp/tpi-");
const image = "localhost/busybox";
let podman: Podman;

const engine = suite("podman");
const reason = whyNoPodman();
/** Registers a test, or says why it cannot be had here. */
const test = (name: string, body: () => Promise<void>): void => {
  if (reason === undefined) engine(name, body);
  else engine.skip(`${name} (${reason})`, body);
};

engine.before(async () => {
  if (reason !== undefined) return;
  podman = await Podman.start();
  const archive = join(scratch, "busybox.tar");
  writeFileSync(archive, (await busyboxLayer()).data);
  await podman.ok(["import", archive, image]);
});
engine.after(async () => {
  if (reason === undefined) await podman[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true });
});

const base = ["run", "--rm", "--network", "none"];
/** `podman run --rm` of a shell script. */
const shell = (script: string, ...options: string[]) =>
  podman.podman([...base, ...options, image, "sh", "-c", script]);
const lines = (text: string): string[] => text.trimEnd().split(/\r?\n/);
const inspect = (name: string, format: string) => podman.ok(["inspect", "--format", format, name]);
const logs = (name: string) => podman.ok(["logs", name]);
const sleeps = "trap 'exit 0' TERM; sleep 1000 & wait";

/** A container in the background that ends when the test does. */
async function background(name: string, script: string, ...options: string[]): Promise<AsyncDisposable> {
  const run = ["run", "--detach", "--name", name, "--network", "none", ...options, image, "sh", "-c", script];
  await podman.ok(run);
  return {
    [Symbol.asyncDispose]: async () => {
      await podman.ok(["rm", "--force", "--time", "0", "--volumes", name]);
    },
  };
}

test("podman run ends with the program's status, 127, 126 or 125", async () => {
  const hello = await shell("echo hello; echo oops >&2; exit 7");
  assert.equal([hello.stdout, hello.stderr, hello.status], ["hello\n", "oops\n", 7]);
  const status = async (...words: string[]) => (await podman.podman([...base, ...words])).status;
  assert.is(await status(image, "nowhere"), 127);
  assert.is(await status(image, "/nowhere"), 127);
  assert.is(await status(image, "/etc"), 126);
  assert.is(await status(image, "/etc/passwd"), 126);
  assert.is(await status("--no-such-option", image, "true"), 125);
  const piped = await podman.podman([...base, "-i", image, "wc", "-c"], { input: "x".repeat(300_000) });
  assert.is(piped.stdout.trim(), "300000");
});

test("podman exec runs in the container, as whom and where it is told, also in the background", async () => {
  await using _box = await background("box", sleeps, "--env", "FIRST=1");
  const exec = (...words: string[]) => podman.podman(["exec", ...words]);
  const inside = ["-u", "1000:7", "-w", "/tmp", "-e", "SECOND=2", "box"];
  const { stdout } = await exec(...inside, "sh", "-c", "id -u; id -g; pwd; echo $FIRST$SECOND");
  assert.equal(lines(stdout), ["1000", "7", "/tmp", "12"]);
  assert.is((await exec("box", "sh", "-c", "exit 9")).status, 9);
  assert.is((await exec("box", "nowhere")).status, 127);
  assert.is((await exec("box", "/etc/passwd")).status, 126);
  assert.is(
    (await podman.podman(["exec", "-i", "box", "cat"], { input: "to and fro" })).stdout,
    "to and fro",
  );
  await podman.ok(["exec", "--detach", "box", "touch", "/tmp/detached"]);
  const done = async () => (await exec("box", "test", "-e", "/tmp/detached")).status === 0;
  await waitFor(done, 5000, "what a detached exec does");
});

test("a terminal has the size of the client's, for run and for exec", async () => {
  const script =
    "tty; for i in $(seq 50); do [ \"$(stty size)\" = '33 77' ] && read answer && exit 4; sleep 0.1; done";
  const ran = await podman.onTerminal([...base, "-it", image, "sh", "-c", script], /pts/);
  assert.match(ran.stdout, /\/dev\/pts\/0/);
  assert.is(ran.status, 4, ran.stdout);
  await using _box = await background("box", sleeps);
  const executed = await podman.onTerminal(["exec", "-it", "box", "sh", "-c", script], /pts/);
  assert.match(executed.stdout, /\/dev\/pts\/0/);
  assert.is(executed.status, 4, executed.stdout);
});

test("stop, kill, start, restart and wait see the container end and begin", async () => {
  await using _polite = await background(
    "polite",
    "echo up; trap 'echo bye; exit 3' TERM; sleep 1000 & wait",
  );
  await podman.ok(["stop", "polite"]);
  assert.is(await inspect("polite", "{{.State.Status}} {{.State.ExitCode}}"), "exited 3");
  assert.is(await logs("polite"), "up\nbye");
  await podman.ok(["start", "polite"]);
  const first = await inspect("polite", "{{.State.Pid}}");
  await podman.ok(["restart", "--time", "5", "polite"]);
  assert.is.not(await inspect("polite", "{{.State.Pid}}"), first);
  await podman.ok(["kill", "--signal", "KILL", "polite"]);
  assert.is(await podman.ok(["wait", "polite"]), "137");
  await using _deaf = await background("deaf", "trap '' TERM; echo up; sleep 1000");
  await waitFor(async () => (await logs("deaf")) === "up", 5000, "deaf's first word");
  await podman.ok(["stop", "--time", "1", "deaf"]);
  assert.is(await inspect("deaf", "{{.State.ExitCode}}"), "137");
});

test("pause, top, stats and update see and change the container's processes and cgroup", async () => {
  await using _box = await background("box", "sleep 777 & wait");
  await podman.ok(["pause", "box"]);
  assert.is(await inspect("box", "{{.State.Status}}"), "paused");
  await podman.ok(["unpause", "box"]);
  assert.is(await inspect("box", "{{.State.Status}}"), "running");
  const top = lines(await podman.ok(["top", "box", "pid", "args", "seccomp"]));
  assert.is(top.length, 3);
  assert.match(top[2] ?? "", /sleep 777 +filter/);
  const stats = await podman.ok(["stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "box"]);
  assert.match(stats, /^2 \d\S*[kM]B \//);
  await podman.ok(["update", "--memory", "64m", "--cpus", "0.5", "box"]);
  const limits = "cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes";
  const unified = "cat cpu.max memory.max | cut -d' ' -f1";
  const seen = await podman.ok(["exec", "box", "sh", "-c", `${limits} 2>/dev/null || ${unified}`]);
  assert.equal(lines(seen), ["50000", String(64 << 20)]);
});

test("a container that takes too much memory is killed", async () => {
  const limits = ["--memory", "16m", "--memory-swap", "16m"];
  assert.is((await shell("sleep 0.2; exec tail /dev/zero", ...limits)).status, 137);
});

const serve = "mkdir /w; echo page > /w/index.html; exec httpd -f -p 8080 -h /w";

test("the containers of a pod share its network and host name, and go with it", async () => {
  await podman.ok(["pod", "create", "--name", "pod", "--network", "none", "--hostname", "podded"]);
  await podman.ok(["run", "--detach", "--pod", "pod", "--name", "server", image, "sh", "-c", serve]);
  const fetch = "hostname; for i in $(seq 50); do wget -qO- http://127.0.0.1:8080/ && exit; sleep 0.1; done";
  const fetched = await podman.ok(["run", "--rm", "--pod", "pod", image, "sh", "-c", fetch]);
  assert.is(fetched, "podded\npage");
  const top = await podman.ok(["pod", "top", "pod"]);
  for (const program of [/catatonit/, /httpd/]) assert.match(top, program);
  assert.match(await podman.ok(["pod", "stats", "--no-stream", "pod"]), /server/);
  await podman.ok(["pod", "pause", "pod"]);
  assert.is(await inspect("server", "{{.State.Status}}"), "paused");
  await podman.ok(["pod", "unpause", "pod"]);
  await podman.ok(["pod", "stop", "--time", "1", "pod"]);
  assert.is(await podman.ok(["pod", "inspect", "--format", "{{.State}}", "pod"]), "Exited");
  await podman.ok(["pod", "rm", "pod"]);
});

test("a pod that is generated as Kubernetes' YAML plays again", async () => {
  await podman.ok(["pod", "create", "--name", "pod", "--network", "none"]);
  await podman.ok(["run", "--detach", "--pod", "pod", "--name", "server", image, "sh", "-c", serve]);
  const yaml = join(scratch, "pod.yaml");
  writeFileSync(yaml, await podman.ok(["generate", "kube", "pod"]));
  await podman.ok(["pod", "rm", "--force", "--time", "0", "pod"]);
  await podman.ok(["play", "kube", "--network", "none", yaml]);
  assert.match(await podman.ok(["exec", "pod-server", "ps"]), /1 root +httpd/);
  await podman.ok(["play", "kube", "--down", yaml]);
  assert.is(await podman.ok(["pod", "ps", "--quiet"]), "");
});

test("a health check is seen to fail and to succeed", async () => {
  const check = ["--health-cmd", "test -e /tmp/ok", "--health-interval", "disable"];
  await using _box = await background("box", sleeps, ...check);
  assert.is((await podman.podman(["healthcheck", "run", "box"])).status, 1);
  await podman.ok(["exec", "box", "touch", "/tmp/ok"]);
  await podman.ok(["healthcheck", "run", "box"]);
  assert.is(await inspect("box", "{{.State.Health.Status}}"), "healthy");
});

test("--preserve-fds passes the caller's descriptors on, and nothing else is open", async () => {
  writeFileSync(join(scratch, "three"), "third\n");
  writeFileSync(join(scratch, "four"), "fourth\n");
  const script = "cat <&3; cat <&4; ls /proc/self/fd | tr '\\n' ' '";
  const preserved = [...base, "--preserve-fds", "2", image, "sh", "-c", script];
  const { stdout } = await podman.inShell(`exec "$@" 3<${scratch}/three 4<${scratch}/four`, preserved);
  // 5 is that of ls for the directory.
  assert.equal(lines(stdout), ["third", "fourth", "0 1 2 3 4 5"]);
});

test("volumes, binds, tmpfs, secrets and a read-only root are what they say", async () => {
  const readonly = await shell("touch /x || touch /t/x && echo only there", "--read-only", "--tmpfs", "/t");
  assert.is(readonly.stdout, "only there\n");
  await podman.ok(["volume", "create", "volume"]);
  assert.is((await shell("echo kept > /v/f", "--volume", "volume:/v")).status, 0);
  const again = await shell("cat /v/f; echo more > /v/f", "--volume", "volume:/v:ro");
  assert.is(again.stdout, "kept\n");
  assert.match(again.stderr, /Read-only file system/);
  await podman.ok(["volume", "rm", "volume"]);
  writeFileSync(join(scratch, "bound"), "from outside\n");
  assert.is((await shell("cat /b/bound", "--volume", `${scratch}:/b:ro`)).stdout, "from outside\n");
  writeFileSync(join(scratch, "secret"), "whispered");
  await podman.ok(["secret", "create", "secret", join(scratch, "secret")]);
  assert.is((await shell("cat /run/secrets/secret", "--secret", "secret")).stdout, "whispered");
  await podman.ok(["secret", "rm", "secret"]);
});

test("in a user namespace root is somebody else outside", async () => {
  const mapping = ["--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000"];
  const { stdout } = await shell("cat /proc/self/uid_map; id -u; touch /x; stat -c %u /x", ...mapping);
  assert.equal(lines(stdout.replaceAll(/ +/g, " ")), [" 0 100000 1000", "0", "0"]);
});

test("privileges are those that are granted, and no more", async () => {
  const status = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status";
  const dropped = ["--cap-drop", "all", "--cap-add", "net_raw", "--security-opt", "no-new-privileges"];
  const strict = await shell(status, ...dropped);
  assert.equal(lines(strict.stdout), ["CapEff:\t0000000000002000", "NoNewPrivs:\t1", "Seccomp:\t2"]);
  const privileged = await shell(`${status}; mount -t tmpfs none /tmp && echo mounted`, "--privileged");
  assert.match(privileged.stdout, /Seccomp:\t0\nmounted\n$/);
});

test("user, limits, sysctls, devices, shm, hostname and init reach the program", async () => {
  const options = [
    ...[
      "--user",
      "nobody",
      "--ulimit",
      "nofile=100:200",
      "--ulimit",
      "nproc=4096:4096",
      "--sysctl",
      "net.ipv4.ip_default_ttl=77",
    ],
    ...["--device", "/dev/kmsg:/dev/log0", "--shm-size", "8m", "--hostname", "boxed", "--init"],
  ];
  const script =
    "id -u; ulimit -n; cat /proc/sys/net/ipv4/ip_default_ttl; test -c /dev/log0 && echo device; hostname; ps -o args | sed -n 2p; grep /dev/shm /proc/mounts";
  const shown = lines((await shell(script, ...options)).stdout);
  assert.equal(shown.slice(0, 5), ["65534", "100", "77", "device", "boxed"]);
  assert.match(shown[5] ?? "", /podman-init/);
  assert.match(shown[6] ?? "", /size=8192k/);
});

test("files are copied in and out, and changes listed", async () => {
  await using _box = await background("box", sleeps);
  writeFileSync(join(scratch, "copied"), "data\n");
  await podman.ok(["cp", join(scratch, "copied"), "box:/copied"]);
  assert.is(await podman.ok(["exec", "box", "cat", "/copied"]), "data");
  assert.match(await podman.ok(["diff", "box"]), /^A \/copied$/m);
});

test("no conmon outlives its container, and the zygote is nobody's child", async () => {
  await podman.ok([...base, image, "true"]);
  const conmons = () => podman.processes().filter(({ name }) => name === "conmon");
  await waitFor(() => conmons().length === 0, 20_000, "the end of every conmon");
  await using _box = await background("box", sleeps);
  const household = podman.processes().filter(({ name }) => name === "tandem-zygote");
  assert.equal(
    household.filter(({ parent }) => parent === "conmon"),
    [],
  );
});

test("nothing is left when the containers are removed", async () => {
  await podman.ok(["run", "--detach", "--network", "none", image, "sleep", "1000"]);
  await podman.assertClean();
});

engine.run();
