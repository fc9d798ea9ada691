import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { Installation } from "./installation.ts";

const zygote = suite<{ tandem: Installation }>("the launcher's zygote");

zygote.before.each((context) => {
  context.tandem = new Installation();
});
zygote.after.each((context) => context.tandem.dispose());

function socketOf(stdout: string): string {
  assert.match(stdout, /^unix:\/\/\/[^\s]+$/);
  return stdout.slice("unix://".length);
}

async function answers(path: string): Promise<boolean> {
  const connection = createConnection(path);
  try {
    await once(connection, "connect");
    return true;
  } catch {
    return false; // ECONNREFUSED, ENOENT
  } finally {
    connection.destroy();
  }
}

zygote("is one for twenty pods that start at once", async ({ tandem }) => {
  const results = await Promise.all(Array.from({ length: 20 }, (_, index) => tandem.start(`c${index}`)));
  assert.is(new Set(results.map(({ stdout }) => stdout)).size, 20);
  assert.is(tandem.starts().length, 1);
  assert.is(tandem.requests().length, 20);
});

zygote("gets no descriptor of containerd's and none of its private environment", async ({ tandem }) => {
  const environment = {
    NOTIFY_SOCKET: "/run/systemd/notify",
    NODE_OPTIONS: "--trace-gc",
    LD_LIBRARY_PATH: "/x",
    TANDEM_OWN: "kept",
  };
  await tandem.start("c1", undefined, { environment });
  const [began] = tandem.starts();
  assert.ok(began);
  for (const name of ["NOTIFY_SOCKET", "NODE_OPTIONS", "LD_LIBRARY_PATH", "TTRPC_ADDRESS"])
    assert.is(began.env[name], undefined, name);
  assert.is(began.env["TANDEM_OWN"], "kept");
  assert.match(began.env["LD_PRELOAD"] ?? "", /\/lib\/tandem\/tandem-dofork\.so$/);
  assert.equal(began.argv, ["--no-warnings", "--expose-gc"]);
  assert.is(began.descriptors[0], "0 /dev/null");
  const log = `${tandem.zygoteDirectories()[0]}/zygote.log`;
  assert.equal(began.descriptors.slice(1, 3), [`1 ${log}`, `2 ${log}`]);
  assert.not.ok(began.descriptors.some((line) => line.includes("zygote.lock") || line.includes("/s/.lock")));
});

zygote("that does not come up has its last words quoted, and leaves no socket", async ({ tandem }) => {
  tandem.behaviour = "crash";
  const result = await tandem.start("c1");
  assert.is(result.status, 1);
  assert.is(result.stdout, "");
  assert.match(result.stderr, /^containerd-shim-tandem-v1: zygote: it ended: .*the reason of the crash.*\n$/);
  assert.equal(tandem.sockets(), []);
  tandem.behaviour = "";
  assert.is((await tandem.start("c1")).status, 0);
});

zygote("that refuses has its reason told in one line, and leaves no socket", async ({ tandem }) => {
  tandem.behaviour = "refuse";
  const result = await tandem.start("c1");
  assert.is(result.status, 1);
  assert.is(result.stderr, "containerd-shim-tandem-v1: zygote: no room in the inn\n");
  assert.equal(tandem.sockets(), []);
});

zygote("that dies under a request is replaced by a new one, which is asked again", async ({ tandem }) => {
  tandem.behaviour = "vanish";
  const result = await tandem.start("c1");
  assert.is(result.status, 0, result.stderr);
  assert.is(tandem.starts().length, 2);
  assert.ok(await answers(socketOf(result.stdout)));
});

zygote("of an incomplete installation: what is missing is named", async ({ tandem }) => {
  writeFileSync(join(tandem.directory, "lib/tandem/build-id"), "");
  assert.match((await tandem.start("c1")).stderr, /lib\/tandem\/build-id: missing/);
  writeFileSync(join(tandem.directory, "lib/tandem/build-id"), "0011223344556677");
  chmodSync(join(tandem.directory, "lib/tandem/node"), 0o644);
  assert.match((await tandem.start("c1")).stderr, /exec .*\/lib\/tandem\/node: Permission denied/);
  assert.equal(tandem.sockets(), []);
});

zygote("whose launcher was killed does not get a second one beside it", async ({ tandem }) => {
  const environment = { ...process.env, TANDEM_RUN_DIR: tandem.runDirectory };
  const killed = spawn(tandem.launcher, ["zygote"], { env: environment, stdio: "ignore" });
  await waitFor(
    () => tandem.zygoteDirectories().some((path) => existsSync(join(path, "zygote.log"))),
    5000,
    "a zygote on its way",
  );
  killed.kill("SIGKILL");
  assert.is((await tandem.start("c1")).status, 0);
  await sleep(300);
  assert.is(tandem.starts().length, 1);
});

zygote("is brought up by the action of that name, which prints its socket", async ({ tandem }) => {
  const first = await tandem.run(["zygote"]);
  assert.is(first.stdout, `${tandem.zygoteDirectories()[0]}/zygote.sock\n`);
  assert.is((await tandem.run(["zygote"])).stdout, first.stdout);
  assert.is(tandem.starts().length, 1);
});

zygote.run();
