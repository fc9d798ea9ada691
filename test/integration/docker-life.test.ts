/** What `docker` does with containers. The exit codes are docker-run(1)'s and those that runc leads to. */
import { readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { DockerSuite, lines, runtimeType, sleeps } from "../support/docker-suite.ts";

const suite = new DockerSuite("the life of containers");
const { background, logs, shell, test } = suite;

test("runs a container by the runtime type of daemon.json and by its own name", async (docker) => {
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

test("docker run ends with the program's status, 127, 126 or 125", async (docker) => {
  const run = async (...words: string[]) => (await docker.docker(["run", "--rm", ...words])).status;
  assert.is(await run("busybox", "sh", "-c", "exit 7"), 7);
  assert.is(await run("busybox", "sh", "-c", "kill -9 $$; exit 8"), 8, "process 1 does not kill itself");
  assert.is(await run("busybox", "nowhere"), 127);
  assert.is(await run("busybox", "/nowhere"), 127);
  assert.is(await run("busybox", "/etc"), 126);
  assert.is(await run("busybox", "/etc/passwd"), 126);
  assert.is(await run("--ulimit", "nofile=4000000000", "busybox", "true"), 125);
});

test("docker exec runs in the container, as whom and where it is told, and ends with the program's status", async (docker) => {
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

test("stdin reaches the program whole, and its end too", async (docker) => {
  const input = "x".repeat(300_000);
  const counted = await docker.docker(["run", "--rm", "-i", "busybox", "wc", "-c"], { input });
  assert.is(counted.stdout.trim(), "300000");
});

test("a terminal has the size of the client's, for run and for exec", async (docker) => {
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

test("stop sends SIGTERM, and SIGKILL to whom it does not end; kill sends what it is told", async (docker) => {
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

test("restart gives a new process, and a restart policy as many as it says", async (docker) => {
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

test("a paused container stands still until it is unpaused", async (docker) => {
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

test("a health check is seen to fail and to succeed", async (docker) => {
  const check = ["--health-cmd", "test -e /tmp/ok", "--health-interval", "200ms", "--health-retries", "1"];
  await using _box = await background("box", sleeps, ...check);
  const becomes = (state: string) =>
    waitFor(async () => (await docker.inspect("box", "{{.State.Health.Status}}")) === state, 10_000, state);
  await becomes("unhealthy");
  await docker.ok(["exec", "box", "touch", "/tmp/ok"]);
  await becomes("healthy");
});

test("a container's changes can be listed, copied and made an image of", async (docker) => {
  await using _box = await background("box", `echo made > /made; ${sleeps}`);
  await waitFor(async () => (await docker.ok(["diff", "box"])).includes("A /made"), 5000, "a change");
  await docker.ok(["commit", "box", "committed"]);
  assert.is(await docker.ok(["run", "--rm", "committed", "cat", "/made"]), "made");
});

test("a module in an image is run by the wasm executor, beside Linux containers", async (docker) => {
  const run = ["run", "--rm", "--env", "A=1", "--name", "guest", "busybox", "/hello-wasm.wasm"];
  const greeted = lines(await docker.ok([...run, "greet", "you"]));
  assert.ok(greeted.includes("arg you") && greeted.includes("env A=1"), greeted.join("\n"));
  assert.is((await docker.docker([...run, "exit", "6"])).status, 6);
  await docker.ok(["run", "--detach", "--name", "guest", "busybox", "/hello-wasm.wasm", "sleep", "1000"]);
  await docker.ok(["stop", "--time", "5", "guest"]);
  assert.is(await docker.inspect("guest", "{{.State.ExitCode}}"), "143");
  await docker.ok(["rm", "guest"]);
});

suite.run();
