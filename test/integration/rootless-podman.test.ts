import { suite } from "uvu";
import * as assert from "uvu/assert";
import { onTerminal, shellLine } from "../support/on-terminal.ts";
import { RootlessPodman } from "./rootless-podman.ts";

const obstacle = RootlessPodman.obstacle();
const all = suite("rootless podman");
let podman: RootlessPodman;

all.before(async () => {
  if (obstacle === undefined) podman = await RootlessPodman.create();
});
all.after(async () => {
  if (obstacle === undefined) await podman[Symbol.asyncDispose]();
});

function rootless(name: string, body: () => Promise<void>): void {
  if (obstacle === undefined) all(name, body);
  else all.skip(`${name} (${obstacle})`, body);
}

/** `podman run --rm --net none …`. */
function once(options: readonly string[], ...command: string[]): Promise<string> {
  return podman.ok("run", "--rm", "--net", "none", ...options, "box", ...command);
}

rootless("a container runs, is looked into, stopped with its own status, and removed", async () => {
  const script = 'trap "exit 3" TERM; echo begun; while :; do sleep 0.1; done';
  await podman.ok("run", "--detach", "--name", "long", "--net", "none", "box", "sh", "-c", script);
  assert.equal(await podman.ok("exec", "--user", "1000:1001", "long", "id"), "uid=1000 gid=1001\n");
  // conmon has to hear of each, however soon it ends.
  for (const status of [0, 1, 2, 3, 4])
    assert.is((await podman.call("exec", "long", "sh", "-c", `exit ${status}`)).status, status);
  assert.equal(await podman.ok("logs", "long"), "begun\n");
  await podman.ok("stop", "long");
  assert.equal(
    await podman.ok("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "long"),
    "exited 3\n",
  );
  await podman.ok("rm", "long");
  assert.equal(await podman.ok("ps", "--all", "--quiet"), "");
});

rootless("its root is the user, and the rest are subordinate ids", async () => {
  const map = await once([], "cat", "/proc/self/uid_map");
  assert.equal(map.trim().split(/\s+/).map(Number), [
    0,
    podman.user.uid,
    1,
    1,
    podman.user.subordinate,
    65_536,
  ]);
});

rootless("--userns=keep-id: the user is themselves inside", async () => {
  const text = await once(["--userns=keep-id"], "id", "-u");
  assert.is(text, `${podman.user.uid}\n`);
});

rootless("a terminal is one, and its exit status comes through", async () => {
  const script = "tty; read answer; exit 4";
  const words = podman.wrap(["run", "--rm", "-it", "--net", "none", "box", "sh", "-c", script]);
  const { status, stdout } = await onTerminal(shellLine(words), /pts/);
  assert.is(status, 4);
  assert.match(stdout, "/dev/pts/0");
});

rootless("the machine's network: its devices are there, and /sys, which cannot be mounted anew", async () => {
  const text = await podman.ok("run", "--rm", "--net", "host", "box", "ls", "/sys/class/net", "/dev/null");
  assert.match(text, "lo\n");
  assert.match(text, "/dev/null\n");
});

rootless("a network of slirp4netns", async () => {
  const text = await podman.ok("run", "--rm", "--net", "slirp4netns", "box", "ip", "addr", "show", "tap0");
  assert.match(text, "inet 10.0.2.100/24");
});

rootless("the machine's processes, and all privileges that there are to give", async () => {
  assert.ok(Number(await once(["--pid", "host"], "sh", "-c", "ls /proc | grep -c '^[0-9]'")) > 5);
  assert.match(await once(["--privileged"], "grep", "CapEff", "/proc/self/status"), /f{8}\n$/);
});

rootless("without cgroups at all, as --cgroups=disabled asks", async () => {
  assert.is(await once(["--cgroups", "disabled"], "echo", "disabled"), "disabled\n");
});

rootless("nothing to write to, no capabilities, no new privileges, with a volume and an init", async () => {
  const options = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--init"];
  const script =
    "touch /x 2>/dev/null || echo read-only; touch /v/x && echo volume; grep -E 'CapEff|NoNew' /proc/self/status";
  const text = await once([...options, "--volume", "vol:/v"], "sh", "-c", script);
  assert.equal(text, "read-only\nvolume\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n");
});

rootless("the containers of a pod share a host name, a network and shared memory", async () => {
  const infra = ["--infra-image", "localhost/box", "--infra-command", "sleep 1000"];
  await podman.ok("pod", "create", "--name", "pod", ...infra, "--net", "none");
  const namespaces = "hostname; readlink /proc/self/ns/net; readlink /proc/self/ns/ipc";
  const [first, second] = [
    await podman.ok("run", "--rm", "--pod", "pod", "box", "sh", "-c", namespaces),
    await podman.ok("run", "--rm", "--pod", "pod", "box", "sh", "-c", namespaces),
  ];
  assert.match(first, /^pod\nnet:/);
  assert.is(second, first);
  await podman.ok("pod", "rm", "--force", "--time", "0", "pod");
});

all.run();
