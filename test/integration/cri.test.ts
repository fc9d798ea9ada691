/** Pods as a kubelet makes them, over CRI, on a bridge network of their own. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { packWasm, writeLayoutTar } from "oras-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { BuiltImage } from "../../examples/built-image.ts";
import { build as buildArtifact, buildModule } from "../../examples/hello-wasm/build.ts";
import { packWasmLayer, wasmPlatform } from "../../examples/wasm-image.ts";
import { type Containerd, startContainerd } from "../../scripts/private-containerd/containerd.ts";
import { Cri, type Pod } from "../../scripts/private-containerd/cri.ts";
import { ContainerState } from "../../scripts/private-containerd/gen/runtime/v1/runtime_pb.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { pause, writeBusyboxArchive } from "../support/image.ts";
import { thorough } from "./lifecycle/generations.ts";
import { buildGuest } from "./lifecycle/guest.ts";
import { isAlive, processesNaming, readCgroupFile, statusOf } from "./lifecycle/proc.ts";

const busybox = "local.test/busybox:1";
const artifact = "local.test/hello-wasm:1";
const layer = "local.test/hello-wasm-layer:1";
const http = "local.test/http:1";
const module = "/hello-wasm.wasm";
const MiB = 1024 * 1024;

const pods = suite("pods by CRI");
let containerd: Containerd;
let cri: Cri;

async function importBusybox(directory: string): Promise<void> {
  for (const options of [undefined, pause]) {
    const archive = join(directory, `${options === undefined ? "busybox" : "pause"}.tar`);
    await writeBusyboxArchive(archive, options);
    await containerd.importImage(archive, "k8s.io");
  }
}

/** Images whose module is a layer of its own; there is nothing to unpack. */
async function importWasm(directory: string, image: BuiltImage): Promise<void> {
  const archive = join(directory, `${image.name.replaceAll("/", "-")}.tar`);
  await writeLayoutTar(archive, [image]);
  await containerd.ctrOk(["images", "import", "--all-platforms", "--no-unpack", archive], {
    namespace: "k8s.io",
  });
}

pods.before(async () => {
  containerd = await startContainerd({ generation: thorough, cri: { sandboxImage: pause.reference } });
  const directory = mkdtempSync("/tmp/tc-");
  try {
    await importBusybox(directory);
    const platform = wasmPlatform("wasip1");
    await importWasm(directory, { ...(await buildArtifact()), name: artifact });
    const packed = packWasmLayer("hello-wasm", "wasip1", await buildModule());
    await importWasm(directory, { name: layer, packed, platform });
    const component = { exports: ["wasi:http/incoming-handler"], target: "wasi:http/proxy" };
    const proxy = packWasm({ bytes: buildGuest("http", directory), os: "wasip2", component });
    await importWasm(directory, { name: http, packed: proxy, platform: wasmPlatform("wasip2") });
  } finally {
    rmSync(directory, { recursive: true });
  }
  cri = new Cri(containerd);
  await cri.ready();
});

pods.after(async () => {
  cri[Symbol.dispose]();
  await containerd.stop();
});

async function withPod(name: string, use: (pod: Pod) => Promise<void>): Promise<void> {
  const pod = await cri.runPod(name, "tandem");
  try {
    await use(pod);
  } finally {
    await pod.remove();
  }
  await containerd.assertClean();
}

const sh = (script: string): readonly string[] => ["/bin/sh", "-c", script];

async function pidOf(containerId: string): Promise<number> {
  const { info } = await cri.runtime.containerStatus({ containerId, verbose: true });
  return (JSON.parse(info["info"] ?? "{}") as { pid?: number }).pid ?? 0;
}

function logOf(pod: Pod, name: string): string {
  return readFileSync(pod.logPath(name), "utf8");
}

async function logShows(pod: Pod, name: string, line: string): Promise<void> {
  const shown = (): boolean => logOf(pod, name).includes(` F ${line}\n`);
  await waitFor(shown, 10_000, `${line} in the log of ${name}`);
}

pods("a Linux container has its log, exit code and execs", () =>
  withPod("linux", async (pod) => {
    const id = await pod.run({
      name: "up",
      image: busybox,
      command: sh("echo out; echo err >&2; exec sleep 1000"),
    });
    await logShows(pod, "up", "out");
    assert.match(logOf(pod, "up"), / stderr F err\n/);
    assert.equal(await pod.exec(id, sh("hostname; echo no >&2; exit 4")), {
      stdout: "linux\n",
      stderr: "no\n",
      exitCode: 4,
    });
    const failing = await pod.run({ name: "failing", image: busybox, command: sh("exit 7") });
    const status = await pod.exited(failing);
    assert.is(status.exitCode, 7);
    assert.is(status.reason, "Error");
  }),
);

pods("a CNCF artifact runs with the command that the pod gives", () =>
  withPod("artifact", async (pod) => {
    const id = await pod.run({ name: "a", image: artifact, command: [module, "greet", "from CRI"] });
    assert.is((await pod.exited(id)).exitCode, 0);
    assert.match(logOf(pod, "a"), / stdout F arg from CRI\n/);
    const nine = await pod.run({ name: "b", image: artifact, command: [module], parameters: ["exit", "9"] });
    assert.is((await pod.exited(nine)).exitCode, 9);
  }),
);

pods("an OCI image with a wasm layer runs its own entrypoint, behind the walls", () =>
  withPod("layer", async (pod) => {
    const id = await pod.run({ name: "a", image: layer, parameters: ["sleep", "1000"] });
    await logShows(pod, "a", "sleeping");
    const status = statusOf(await pidOf(id));
    assert.is(status["Seccomp"], "2");
    assert.is(status["CapEff"], "0000000000000000");
    assert.is((await pod.exec(id, [module, "exit", "5"])).exitCode, 5);
    await cri.runtime.stopContainer({ containerId: id, timeout: 10n }, { timeoutMs: 20_000 });
    assert.is((await pod.exited(id)).exitCode, 143);
  }),
);

pods("a mixed pod's containers talk over localhost, in one shim", () =>
  withPod("mixed", async (pod) => {
    await pod.run({ name: "web", image: http, command: ["/http.wasm"] });
    const linux = await pod.run({ name: "side", image: busybox, command: ["/bin/sleep", "1000"] });
    const answer = await waitFor(
      async () => {
        const { stdout, exitCode } = await pod.exec(linux, sh("wget -qO- http://127.0.0.1:8080/"));
        return exitCode === 0 ? stdout : undefined;
      },
      20_000,
      "an answer over localhost",
    );
    assert.ok(answer.length > 0);
    const outside = await containerd.inNetwork("/usr/bin/busybox", [
      "wget",
      "-qO-",
      `http://${pod.ip}:8080/`,
    ]);
    assert.is(outside.stdout, answer);
    assert.is(processesNaming(`${containerd.directory}/`, /^tandem-shim/).length, 1);
  }),
);

pods("stats, limits and their update are what the kernel holds", () =>
  withPod("limits", async (pod) => {
    const linux = { name: "l", image: busybox, command: sh("while :; do :; done") };
    const wasm = { name: "w", image: layer, parameters: ["spin"] };
    for (const container of [linux, wasm]) {
      const id = await pod.run({ ...container, memoryLimit: 128 * MiB });
      const pid = await pidOf(id);
      const limit = (): string => readCgroupFile(pid, "memory", "memory.limit_in_bytes", "memory.max");
      assert.is(limit(), String(128 * MiB));
      const used = async (): Promise<bigint> => {
        const { stats } = await cri.runtime.containerStats({ containerId: id });
        return stats?.cpu?.usageCoreNanoSeconds?.value ?? 0n;
      };
      const first = await used();
      await waitFor(async () => (await used()) > first, 10_000, "CPU time that grows");
      await cri.runtime.updateContainerResources({
        containerId: id,
        linux: { memoryLimitInBytes: BigInt(256 * MiB), cpuShares: 256n },
      });
      assert.is(limit(), String(256 * MiB));
      assert.is(readCgroupFile(pid, "cpu", "cpu.shares", "cpu.weight"), "256");
    }
    const { stats } = await cri.runtime.listContainerStats({ filter: { podSandboxId: pod.id } });
    assert.is(stats.length, 2);
    for (const { attributes, memory } of stats)
      assert.ok((memory?.workingSetBytes?.value ?? 0n) > 0n, attributes?.metadata?.name);
  }),
);

pods("who takes too much memory is OOMKilled", () =>
  withPod("oom", async (pod) => {
    const linux = await pod.run({
      name: "l",
      image: busybox,
      command: ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"],
      memoryLimit: 48 * MiB,
    });
    const wasm = await pod.run({
      name: "w",
      image: layer,
      parameters: ["grow", "200"],
      memoryLimit: 64 * MiB,
    });
    for (const id of [linux, wasm]) {
      const status = await pod.exited(id);
      assert.is(status.exitCode, 137);
      const reason = async (): Promise<boolean> =>
        (await cri.runtime.containerStatus({ containerId: id })).status?.reason === "OOMKilled";
      await waitFor(reason, 5000, "reason OOMKilled");
    }
  }),
);

pods("StopContainer gives the time that it is told, then kills", () =>
  withPod("stop", async (pod) => {
    const decent = await pod.run({
      name: "decent",
      image: busybox,
      command: sh('trap "echo bye; exit 3" TERM; echo up; sleep 1000 & wait'),
    });
    await logShows(pod, "decent", "up");
    await cri.runtime.stopContainer({ containerId: decent, timeout: 10n }, { timeoutMs: 20_000 });
    assert.is((await pod.exited(decent)).exitCode, 3);
    await logShows(pod, "decent", "bye");
    const deaf = await pod.run({
      name: "deaf",
      image: busybox,
      command: sh('trap "" TERM; echo up; sleep 1000 & wait'),
    });
    await logShows(pod, "deaf", "up");
    await cri.runtime.stopContainer({ containerId: deaf, timeout: 1n }, { timeoutMs: 20_000 });
    assert.is((await pod.exited(deaf)).exitCode, 137);
  }),
);

pods("a pod outlives containerd, and what ended meanwhile is known", () =>
  withPod("restart", async (pod) => {
    const stays = await pod.run({
      name: "stays",
      image: busybox,
      command: sh("while :; do echo tick; sleep 1; done"),
    });
    const ends = await pod.run({ name: "ends", image: busybox, command: ["/bin/sleep", "1000"] });
    const wasm = await pod.run({ name: "wasm", image: layer, parameters: ["sleep", "1000"] });
    const pids = [await pidOf(ends), await pidOf(wasm)];
    await containerd.kill9();
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await waitFor(() => !pids.some(isAlive), 5000, "two ends");
    await containerd.start();
    await cri.ready();
    for (const id of [ends, wasm]) assert.is((await pod.exited(id)).exitCode, 137);
    const { status } = await cri.runtime.containerStatus({ containerId: stays });
    assert.is(status?.state, ContainerState.CONTAINER_RUNNING);
    assert.is((await pod.exec(stays, sh("exit 6"))).exitCode, 6);
    const length = logOf(pod, "stays").length;
    await waitFor(() => logOf(pod, "stays").length > length, 5000, "a log that goes on");
  }),
);

pods("nothing of any pod is left", () => containerd.assertClean());

pods.run();
