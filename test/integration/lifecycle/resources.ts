import { closeSync, constants, existsSync, openSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import * as assert from "uvu/assert";
import { waitFor } from "../../../scripts/private-containerd/wait-for.ts";
import { MetricsSchema as V1 } from "../../../src/api/gen/io/containerd/cgroups/v1/metrics_pb.ts";
import { MetricsSchema as V2 } from "../../../src/api/gen/io/containerd/cgroups/v2/metrics_pb.ts";
import { whyNoCriu } from "../criu.ts";
import type { Case } from "./case.ts";
import type { TestContainer } from "./container.ts";
import { fails } from "./fails.ts";
import { cpuTicks, readCgroupFile } from "./proc.ts";

const MiB = 1024 * 1024;

interface Usage {
  readonly cpu: bigint;
  readonly memory: bigint;
  readonly pids: bigint;
}

/** Metrics of either generation of cgroups, in nanoseconds and bytes. */
async function usageOf(c: TestContainer): Promise<Usage> {
  const { typeUrl, value } = await c.metrics();
  if (typeUrl.endsWith("io.containerd.cgroups.v1.Metrics")) {
    const metrics = fromBinary(V1, value);
    return {
      cpu: metrics.cpu?.usage?.total ?? 0n,
      memory: metrics.memory?.usage?.usage ?? 0n,
      pids: metrics.pids?.current ?? 0n,
    };
  }
  assert.match(typeUrl, /io\.containerd\.cgroups\.v2\.Metrics$/);
  const metrics = fromBinary(V2, value);
  return {
    cpu: (metrics.cpu?.usageUsec ?? 0n) * 1000n,
    memory: metrics.memory?.usage ?? 0n,
    pids: metrics.pids?.current ?? 0n,
  };
}

const memoryLimit = (pid: number): string =>
  readCgroupFile(pid, "memory", "memory.limit_in_bytes", "memory.max");

export const resourceCases: readonly Case[] = [
  {
    name: "a paused container makes no progress, a resumed one does",
    async run(scene, runtime) {
      const { events } = scene.client;
      await using c = scene.container(runtime, { args: runtime.programs.spin });
      const pid = await c.run();
      await c.stdout.shows("spinning\n");
      await c.pause();
      assert.is(await c.status(), "PAUSED");
      const frozen = cpuTicks(pid);
      // Nothing can be waited for: what must not happen is given the time in which it would.
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.is(cpuTicks(pid), frozen);
      await fails(c.pause(), runtime.name === "runc" ? undefined : "failed_precondition");
      await c.resume();
      assert.is(await c.status(), "RUNNING");
      await waitFor(() => cpuTicks(pid) > frozen, 5000, "progress after resume");
      await events.next(c.id, "resumed");
      assert.equal(events.story(c.id), ["create", "start", "paused", "resumed"]);
    },
  },
  {
    name: "a paused container can be killed",
    on: ["tandem-linux", "tandem-wasm"],
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.spin });
      await c.run();
      await c.stdout.shows("spinning\n");
      await c.pause();
      await c.kill(9);
      assert.is(await c.wait(), 137);
      assert.is((await c.delete()).exitStatus, 137);
    },
  },
  {
    name: "update changes the limit that the kernel holds",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep, memoryLimit: 128 * MiB });
      const pid = await c.run();
      await c.stdout.shows("sleeping\n");
      assert.is(memoryLimit(pid), String(128 * MiB));
      await c.update({ memory: { limit: 256 * MiB }, cpu: { shares: 512 } });
      assert.is(memoryLimit(pid), String(256 * MiB));
      await c.update({ pids: { limit: 77 } });
      assert.is(readCgroupFile(pid, "pids", "pids.max", "pids.max"), "77");
      assert.is(memoryLimit(pid), String(256 * MiB));
    },
  },
  {
    name: "metrics say what the kernel counts, and CPU time grows",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.spin });
      await c.run();
      await c.stdout.shows("spinning\n");
      const first = await usageOf(c);
      assert.ok(first.memory > 0n);
      assert.ok(first.pids >= 1n);
      await waitFor(async () => (await usageOf(c)).cpu > first.cpu, 5000, "more CPU time");
    },
  },
  {
    name: "who takes more memory than the limit is killed, and OOM is told before the exit",
    async run(scene, runtime) {
      const { events } = scene.client;
      await using c = scene.container(runtime, { args: runtime.programs.grow(200), memoryLimit: 48 * MiB });
      await c.run();
      assert.is(await c.wait(), 137);
      await events.next(c.id, "exit");
      await events.next(c.id, "oom");
      const story = events.story(c.id);
      // runc's shim reads the event from another descriptor than the exit, and promises no order.
      if (runtime.name !== "runc") assert.equal(story, ["create", "start", "oom", "exit"]);
    },
  },
  {
    name: "a checkpoint of a wasm container is refused with a reason",
    on: ["tandem-wasm"],
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      await fails(c.checkpoint(), "unimplemented", /a wasm container cannot be written to a checkpoint/);
      assert.is(await c.status(), "RUNNING");
    },
  },
  {
    name: "a checkpoint has the whole of a Linux container, which goes on from it",
    on: ["tandem-linux"],
    async run(scene, runtime) {
      const reason = whyNoCriu();
      if (reason !== "") {
        process.stdout.write(`checkpoints are left out: ${reason}\n`);
        return;
      }
      const script = "i=0; while test $i -lt 1000; do echo count $i; i=$((i+1)); sleep 0.1; done";
      await using c = scene.container(runtime, { args: ["/bin/sh", "-c", script] });
      await c.run();
      // Between the two tasks nobody else has the stream open.
      const keeper = openSync(c.streams.fifos.stdout, constants.O_RDWR);
      await c.stdout.shows("count 5\n");
      const images = await c.checkpoint(true);
      assert.is(await c.wait(), 137);
      await c.delete();
      await c.createFrom(images);
      assert.is(await c.status(), "CREATED");
      const pid = await c.start();
      assert.ok(existsSync(`/proc/${pid}/exe`));
      assert.is(await c.status(), "RUNNING");
      const last = Number(/count (\d+)\n$/.exec(c.stdout.text)?.[1]);
      await c.stdout.shows(`count ${last + 5}\n`);
      await c.kill(9);
      assert.is(await c.wait(), 137);
      closeSync(keeper);
    },
  },
];
