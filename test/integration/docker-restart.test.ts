import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { DockerSuite, sleeps } from "../support/docker-suite.ts";

const suite = new DockerSuite("when it or containerd is killed");
const { background, test } = suite;

test("containers live on while Docker is killed and comes back, and an end meanwhile is noticed", async (docker) => {
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

test("containers live on while containerd is killed and comes back", async (docker) => {
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

suite.run();
