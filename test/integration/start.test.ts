/**
 * The main job as a user runs it, and what it says: executors, exit codes, HTTP answers, the talk of the mixed pod, and that nothing
 * of it is left.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Finished, run } from "../../scripts/private-containerd/command.ts";
import { availableGenerations } from "../../scripts/private-containerd/containerd.ts";
import { mountsBelow, ownedProcesses } from "../../scripts/private-containerd/leftovers.ts";
import type { Closing } from "../../scripts/start/node.ts";
import type { Report, ReportedContainer } from "../../scripts/start/report.ts";
import { wasmGenerations } from "../../scripts/start/requirements.ts";

const script = fileURLToPath(new URL("../../scripts/start.ts", import.meta.url));
const wasmTypes = ["application/vnd.wasm.config.v0+json", "application/wasm"];

type Printed = Report & Closing;

/** An ip(8) for a kernel without the bridge module. */
const noBridge = `#!/bin/sh
case "$*" in *bridge*) exit 1 ;; esac
PATH=/usr/sbin:/usr/bin:/sbin:/bin exec ip "$@"
`;

const start = suite("npm start");

function runStart(...options: string[]): Promise<Finished> {
  return run(process.execPath, ["--no-warnings", script, ...options], { timeoutMs: 300_000 });
}

function find({ containers }: Report, pod: string, name: string): ReportedContainer {
  const found = containers.find((container) => container.pod === pod && container.name === name);
  if (found === undefined) throw new Error(`no container ${name} in pod ${pod}`);
  return found;
}

/** What still names the directory of a run: processes by command line or environment, mounts, itself. */
function tracesOf(directory: string): string[] {
  const processes = ownedProcesses({ directory, namespaces: [], pids: [] }).map(({ command }) => command);
  return [...processes, ...mountsBelow(directory), ...(existsSync(directory) ? [directory] : [])];
}

async function printed(generation: string): Promise<Printed> {
  const finished = await runStart("--json", "--containerd", generation);
  assert.is(finished.status, 0, finished.stderr);
  return JSON.parse(finished.stdout) as Printed;
}

function assertGreetings(report: Report): void {
  for (const name of ["hello-wasm", "hello-component"]) {
    const container = find(report, name, name);
    assert.is(container.executor, "wasm");
    assert.equal(container.mediaTypes, wasmTypes);
    assert.is(container.exitStatus, 0);
    assert.equal([container.said[0], container.said.at(-1)], ["hello from wasm", "awake"]);
  }
  const linux = find(report, "hello-linux", "hello-linux");
  assert.is(linux.executor, "linux");
  assert.ok(linux.mediaTypes.includes("application/vnd.oci.image.layer.v1.tar+gzip"));
  assert.is(linux.exitStatus, 0);
  assert.is(linux.said[0], "hello from linux");
}

function assertHttpFunction(report: Report): void {
  const container = find(report, "http-function", "http-function");
  assert.is(container.executor, "wasm");
  assert.is(container.exitStatus, undefined);
  assert.equal(container.said, [
    "GET /: 200 hello from a component",
    "GET /fibonacci?n=20: 200 6765",
    "POST /echo: 200 from outside the pod",
  ]);
}

function assertMixedPod(report: Report): void {
  const server = find(report, "mixed-pod", "function");
  const client = find(report, "mixed-pod", "client");
  assert.is(server.executor, "wasm");
  assert.is(client.executor, "linux");
  assert.is(client.exitStatus, 0);
  assert.equal(
    client.said.filter((line) => line !== ""),
    ["hello from a component", "hello from a component", "hello from a component"],
  );
  // Ours until it answered, and the client's three.
  assert.ok(server.said.filter((line) => line === "GET /").length >= 4, server.said.join("\n"));
  if (report.network === "bridge")
    for (const { namespaces } of [server, client]) assert.ok(namespaces.pod.includes("net"));
}

for (const generation of wasmGenerations.filter((each) => availableGenerations().includes(each))) {
  start(`runs wasm and Linux images in pods, and leaves nothing: containerd ${generation}`, async () => {
    const report = await printed(generation);
    assert.match(report.containerd, new RegExp(`^containerd v?${generation}\\.`));
    assertGreetings(report);
    assertHttpFunction(report);
    assertMixedPod(report);
    for (const { name, pid, memory, coldStartMs, cgroup, namespaces } of report.containers) {
      assert.ok(pid > 1 && memory > 0 && coldStartMs > 0, name);
      assert.match(cgroup, /-cri\/[0-9a-f]{64}$/);
      assert.ok(namespaces.own.includes("mnt") && namespaces.own.includes("pid"), name);
      assert.not.ok(
        existsSync(`/proc/${pid}/ns`) && readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(cgroup),
        name,
      );
    }
    assert.equal([report.problems, report.left], [[], []]);
    assert.equal(tracesOf(report.directory), []);
  });
}

start("puts the pods on one loopback where no bridge can be made", async () => {
  const tools = mkdtempSync(join(tmpdir(), "tandem-no-bridge-"));
  try {
    writeFileSync(join(tools, "ip"), noBridge, { mode: 0o755 });
    const environment = { PATH: `${tools}:${process.env["PATH"]}` };
    const finished = await run(process.execPath, ["--no-warnings", script, "--json"], {
      environment,
      timeoutMs: 300_000,
    });
    assert.is(finished.status, 0, finished.stderr);
    const report = JSON.parse(finished.stdout) as Printed;
    assert.is(report.network, "host");
    assertHttpFunction(report);
    assertMixedPod(report);
    assert.equal(tracesOf(report.directory), []);
  } finally {
    rmSync(tools, { recursive: true });
  }
});

start("names the generations that can run wasm images when it is asked for another", async () => {
  const finished = await runStart("--containerd", "1.6");
  assert.is(finished.status, 1);
  assert.match(
    finished.stderr,
    /containerd 1\.6 cannot unpack wasm images: choose --containerd 2\.1 or 2\.4/,
  );
});

start.run();
