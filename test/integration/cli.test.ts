/** The command `tandem` as it is installed. */
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { run, runOk } from "../../scripts/private-containerd/command.ts";
import { availableGenerations, startContainerd } from "../../scripts/private-containerd/containerd.ts";
import type { ExplainedGrant } from "../../src/grant/explained-grant.ts";
import { missingRegistry, startRegistry } from "../../src/oras-js/test/debian-registry.ts";
import { VERSION } from "../../src/version.ts";
import { tarLayer, writeBusyboxArchive, writeImageArchive } from "../support/image.ts";
import { buildGuest } from "./run-guest.ts";

const tandem = fileURLToPath(new URL("../../dist/bin/tandem", import.meta.url));
const emptyModule = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

const cli = suite<{ directory: string }>("tandem");

cli.before.each((context) => {
  context.directory = mkdtempSync("/tmp/tandem-cli-");
});
cli.after.each((context) => rmSync(context.directory, { recursive: true }));

cli("finds its Node through a link, with nothing on PATH but the system's tools", async ({ directory }) => {
  const link = join(directory, "tandem");
  symlinkSync(tandem, link);
  assert.is(await runOk("/usr/bin/env", ["-i", "PATH=/usr/bin:/bin", link, "--version"]), `${VERSION}\n`);
});

cli("names what it does not know", async () => {
  const finished = await run(tandem, ["pss"]);
  assert.is(finished.status, 1);
  assert.match(finished.stderr, /unknown command 'pss'/);
});

interface Listed {
  readonly namespace: string;
  readonly id: string;
  readonly status: string;
  readonly pid: number;
  readonly executor: string;
  readonly shimPid: number;
}

cli("ps lists what the shims of this run directory have, and whether they run", async ({ directory }) => {
  const archive = join(directory, "busybox.tar");
  await writeBusyboxArchive(archive);
  await using containerd = await startContainerd({ generation: availableGenerations()[0] ?? "1.6" });
  const environment = { TANDEM_RUN_DIR: containerd.runDirectory };
  const list = async (): Promise<Listed[]> =>
    JSON.parse(await runOk(tandem, ["ps", "--json"], { environment })) as Listed[];
  assert.equal(await list(), []);
  await containerd.importImage(archive);
  const options = ["-d", "--runtime", "io.containerd.tandem.v1", "local.test/busybox:1"];
  const started = await containerd.runContainer([...options, "sleeper", "/bin/sleep", "600"]);
  assert.is(started.status, 0, started.stderr);
  const [only, ...others] = await list();
  assert.equal(others, []);
  const { namespace, id, status, executor, pid = 0, shimPid = 0 } = only ?? ({} as Partial<Listed>);
  assert.equal(
    { namespace, id, status, executor },
    {
      namespace: containerd.namespace,
      id: "sleeper",
      status: "running",
      executor: "linux",
    },
  );
  assert.is(readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim(), "/bin/sleep 600");
  assert.is(readFileSync(`/proc/${shimPid}/comm`, "utf8"), "tandem-shim\n");
  await containerd.ctrOk(["tasks", "pause", "sleeper"]);
  assert.is((await list())[0]?.status, "paused");
  await containerd.ctrOk(["tasks", "resume", "sleeper"]);
  process.kill(shimPid, "SIGSTOP");
  try {
    assert.is((await list())[0]?.status, "no answer");
  } finally {
    process.kill(shimPid, "SIGCONT");
  }
  await containerd.ctrOk(["tasks", "delete", "--force", "sleeper"]);
  assert.equal(await list(), []);
});

cli("inspect shows what a container was granted, and what a file asks for", async ({ directory }) => {
  const archive = join(directory, "hello.tar");
  await writeImageArchive(archive, {
    reference: "local.test/hello:1",
    layers: [await tarLayer([{ path: "hello.wasm", content: readFileSync(buildGuest()) }])],
    config: { architecture: "amd64", os: "linux", config: { Cmd: ["/hello.wasm"] } },
  });
  await using containerd = await startContainerd({ generation: availableGenerations()[0] ?? "1.6" });
  await containerd.importImage(archive);
  const environment = { TANDEM_RUN_DIR: containerd.runDirectory };
  const inspect = (...args: string[]) => run(tandem, ["inspect", ...args], { environment });
  const options = ["-d", "--runtime", "io.containerd.tandem.v1", "--env", "SECRET=x"];
  const annotations = ["--annotation", "tandem.dev/rootfs=ro"];
  const begin = (id: string, ...more: string[]) =>
    containerd.runContainer([...options, ...more, "local.test/hello:1", id, "/hello.wasm", "wait"]);
  const started = await begin("guest", ...annotations);
  assert.is(started.status, 0, started.stderr);
  const { stdout, stderr } = await inspect("--json", "gue");
  assert.is(stderr, "");
  const grant = JSON.parse(stdout) as ExplainedGrant;
  assert.equal(grant.args, ["/hello.wasm", "wait"]);
  assert.ok(grant.env.some(([name, value]) => name === "SECRET" && value === "x"));
  assert.equal([grant.network, grant.preopens[0]?.guestPath, grant.preopens[0]?.readonly], [null, "/", true]);
  assert.match((await inspect("guest")).stdout, /^preopens {5}\/ ← .* \(read-only\)$/m);
  // More than the operator, who has said nothing, allows.
  const refused = await begin("wide", "--annotation", "tandem.dev/outbound=example.com");
  assert.is.not(refused.status, 0);
  assert.match(refused.stderr, /annotation tandem\.dev\/outbound: .*wasm\.allowed\.outbound/);
  await containerd.ctrOk(["tasks", "delete", "--force", "guest"]);
  const none = await inspect("none");
  assert.equal([none.status, /neither a file nor a container/.test(none.stderr)], [1, true]);
  const file = join(directory, "empty.wasm");
  writeFileSync(file, emptyModule);
  assert.equal(JSON.parse((await inspect("--json", file)).stdout), {
    ...{ form: "module", world: "reactor", imports: [], exports: [], uses: [] },
  });
});

if (missingRegistry() === undefined) {
  cli("pushes a module as an image, and pulls it into a layout", async ({ directory }) => {
    await using registry = await startRegistry();
    const module = join(directory, "empty.wasm");
    writeFileSync(module, emptyModule);
    const reference = `${registry.address}/cli/empty:1`;
    const digest = (await runOk(tandem, ["push", module, reference])).trim();
    const layout = join(directory, "layout");
    assert.is((await runOk(tandem, ["pull", reference, "--output", layout])).trim(), digest);
    const manifest = readFileSync(join(layout, "blobs", digest.replace(":", "/")), "utf8");
    assert.match(manifest, /"mediaType":"application\/wasm"/);
    assert.ok(existsSync(join(layout, "index.json")));
    const refused = await run(tandem, ["push", fileURLToPath(import.meta.url), reference]);
    assert.is(refused.status, 1);
    assert.match(refused.stderr, /cli\.test\.ts: neither a wasm module nor a component/);
  });
}

cli.run();
