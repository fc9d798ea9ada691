/**
 * The private containerd of the other tests, checked with the reference runtime: what fails here is not Tandem's fault.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  availableGenerations,
  type Generation,
  startContainerd,
} from "../../scripts/private-containerd/containerd.ts";
import { Cri } from "../../scripts/private-containerd/cri.ts";
import { pause, writeBusyboxArchive } from "../support/image.ts";

const archives = mkdtempSync("/tmp/ti-");
const busybox = join(archives, "busybox.tar");
const pauseArchive = join(archives, "pause.tar");
const image = "local.test/busybox:1";
const reference = ["--runtime", "io.containerd.runc.v2"];

const harness = suite("a private containerd with runc");

harness.before(async () => {
  await writeBusyboxArchive(busybox);
  await writeBusyboxArchive(pauseArchive, pause);
});
harness.after(() => rmSync(archives, { recursive: true }));

harness("is there in at least the generation of this Debian", () => {
  assert.ok(availableGenerations().includes("1.6"));
});

async function runsAndRestarts(generation: Generation): Promise<void> {
  await using containerd = await startContainerd({ generation });
  await containerd.importImage(busybox);
  const hello = await containerd.runContainer([
    "--rm",
    ...reference,
    image,
    "a",
    "/bin/sh",
    "-c",
    "echo hello; exit 3",
  ]);
  assert.is(hello.status, 3, hello.stderr);
  assert.is(hello.stdout, "hello\n");
  await containerd.assertClean();

  const detached = await containerd.runContainer(["-d", ...reference, image, "b", "/bin/sleep", "600"]);
  assert.is(detached.status, 0, detached.stderr);
  const seen = containerd.leftovers();
  for (const kind of ["process", "mount", "cgroup", "bundle"])
    assert.ok(
      seen.some((line) => line.startsWith(`${kind} `)),
      kind,
    );
  await containerd.restart();
  assert.match(await containerd.ctrOk(["tasks", "list"]), /b +\d+ +RUNNING/);
  await containerd.kill9();
  await containerd.start();
  assert.match(await containerd.ctrOk(["tasks", "list"]), /b +\d+ +RUNNING/);
  await containerd.ctrOk(["tasks", "delete", "--force", "b"]);
  await containerd.assertClean();
}

async function runsAPod(generation: Generation): Promise<void> {
  await using containerd = await startContainerd({ generation, cri: { sandboxImage: pause.reference } });
  for (const archive of [busybox, pauseArchive]) await containerd.importImage(archive, "k8s.io");
  using cri = new Cri(containerd);
  await cri.ready();
  const pod = await cri.runPod("pod-1", "runc");
  const server = await pod.run({
    name: "server",
    image,
    command: ["/bin/sh", "-c", "echo up; exec nc -l -p 80 -e /bin/hostname"],
  });
  assert.is((await pod.exec(server, ["/bin/hostname"])).stdout, "pod-1\n");
  const answer = await containerd.inNetwork("/usr/bin/busybox", ["nc", "-w", "5", pod.ip, "80"]);
  assert.is(answer.stdout, "pod-1\n");
  const failing = await pod.run({ name: "failing", image, command: ["/bin/sh", "-c", "exit 7"] });
  assert.is((await pod.exited(failing)).exitCode, 7);
  assert.match(readFileSync(pod.logPath("server"), "utf8"), /stdout F up\n/);
  await pod.remove();
  await containerd.assertClean();
}

for (const generation of availableGenerations()) {
  harness(`runs and keeps containers over its restarts: ${generation}`, () => runsAndRestarts(generation));
  harness(`runs pods on a network of its own by CRI: ${generation}`, () => runsAPod(generation));
}

harness.run();
