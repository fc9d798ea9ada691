import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Installation } from "./installation.ts";

const start = suite<{ tandem: Installation }>("launcher start");

start.before.each((context) => {
  context.tandem = new Installation();
});
start.after.each((context) => context.tandem.dispose());

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

start(
  "prints the address of a live socket, writes it into the bundle and says nothing else",
  async ({ tandem }) => {
    const result = await tandem.start("c1");
    assert.is(result.stderr, "");
    assert.is(result.status, 0);
    const path = socketOf(result.stdout);
    assert.ok(path.startsWith(`${tandem.runDirectory}/s/`));
    assert.is(statSync(path).mode & 0o777, 0o600);
    assert.is(readFileSync(join(tandem.bundle("c1"), "address"), "utf8"), result.stdout);
    assert.ok(await answers(path));
  },
);

start("hands flags, environment and stdin to the zygote", async ({ tandem }) => {
  const environment = { TTRPC_ADDRESS: "/run/c.sock.ttrpc", SCHED_CORE: "1" };
  const result = await tandem.start("c1", undefined, { environment, input: "\n\x05hello" });
  const [request, ...more] = tandem.requests();
  assert.is(more.length, 0);
  assert.equal(request, {
    kind: "shim",
    namespace: "ns",
    id: "c1",
    address: "/run/c.sock",
    ttrpcAddress: "/run/c.sock.ttrpc",
    publishBinary: "/usr/bin/containerd",
    bundle: tandem.bundle("c1"),
    socketPath: socketOf(result.stdout),
    group: "c1",
    debug: "",
    schedCore: "1",
    stdin: "\n\x05hello",
  });
});

start(
  "takes flags with one dash or two, with = or a space, and ignores those it does not know",
  async ({ tandem }) => {
    const flags = [
      "--namespace=n2",
      "-address=/a=b",
      "--id",
      "c2",
      "-bundle",
      "/elsewhere",
      "-frob",
      "--unknown=x",
      "-debug",
      "-socket",
      "/s",
    ];
    const result = await tandem.run([...flags, "start"], { directory: tandem.bundle("c2") });
    assert.is(result.status, 0, result.stderr);
    const [request] = tandem.requests();
    assert.is(request?.namespace, "n2");
    assert.is(request?.address, "/a=b");
    assert.is(request?.id, "c2");
    assert.is(request?.debug, "1");
  },
);

start("carries a stdin of a megabyte in a memfd, and refuses more", async ({ tandem }) => {
  const input = "x".repeat(1 << 20);
  assert.is((await tandem.start("big", undefined, { input })).status, 0);
  assert.is(tandem.requests()[0]?.stdin.length, input.length);
  const refused = await tandem.start("bigger", undefined, { input: `${input}y` });
  assert.is(refused.status, 1);
  assert.match(refused.stderr, /^containerd-shim-tandem-v1: start: stdin: File too large\n$/);
  assert.is(tandem.sockets().length, 1);
});

start("puts the containers of a pod on one socket, by sandbox id or by runc's group", async ({ tandem }) => {
  const sandbox = { annotations: { "io.kubernetes.cri.sandbox-id": "pod-1" } };
  const first = await tandem.start("pause", sandbox);
  const second = await tandem.start("app", sandbox);
  assert.is(second.stdout, first.stdout);
  assert.is(readFileSync(join(tandem.bundle("app"), "address"), "utf8"), first.stdout);
  assert.is(tandem.requests().length, 1);
  assert.is(tandem.requests()[0]?.group, "pod-1");
  const group = {
    annotations: { "io.kubernetes.cri.sandbox-id": "pod-1", "io.containerd.runc.v2.group": "g" },
  };
  const third = await tandem.start("other", group);
  assert.is.not(third.stdout, first.stdout);
  assert.is(tandem.requests()[1]?.group, "g");
});

start("keeps address, namespace and group apart in the name of the socket", async ({ tandem }) => {
  const directory = tandem.bundle("x");
  const socketFor = async (address: string, namespace: string, id: string): Promise<string> =>
    (await tandem.run(["-address", address, "-namespace", namespace, "-id", id, "start"], { directory }))
      .stdout;
  const sockets = [
    await socketFor("/a", "b", "c"),
    await socketFor("/a", "bc", "c"),
    await socketFor("/ab", "", "c"),
    await socketFor("/a", "b", "bc"),
  ];
  assert.is(new Set(sockets).size, sockets.length);
});

start("starts for a broken config.json, whose reason is the shim's to give", async ({ tandem }) => {
  for (const [index, config] of ["", "{", "[]", '{"annotations":7}', "\0".repeat(100)].entries()) {
    const result = await tandem.start(`c${index}`, config);
    assert.is(result.status, 0, result.stderr);
    assert.is(tandem.requests()[index]?.group, `c${index}`);
  }
});

start("replaces a socket that nobody listens on any more", async ({ tandem }) => {
  const first = socketOf((await tandem.start("c1")).stdout);
  await tandem.killZygote();
  assert.ok(existsSync(first));
  assert.not.ok(await answers(first));
  const second = socketOf((await tandem.start("c1")).stdout);
  assert.is(second, first);
  assert.ok(await answers(second));
});

start("uses a socket that answers, whoever listens on it", async ({ tandem }) => {
  const path = socketOf((await tandem.start("c1")).stdout);
  await tandem.killZygote();
  // The same path, now another process's: the launcher only asks whether somebody answers.
  rmSync(path);
  const server = createServer().listen(path);
  await once(server, "listening");
  const again = await tandem.start("c1");
  server.close();
  assert.is(socketOf(again.stdout), path);
  assert.is(tandem.requests().length, 1);
});

start("of twenty containers of one pod at once makes one zygote and one shim", async ({ tandem }) => {
  const config = { annotations: { "io.kubernetes.cri.sandbox-id": "pod" } };
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, index) => tandem.start(`c${index}`, config)),
  );
  assert.equal(
    [...new Set(results.map(({ stdout, stderr, status }) => `${status} ${stderr}${stdout}`))].length,
    1,
  );
  assert.is(results[0]?.status, 0);
  assert.is(tandem.requests().length, 1);
  assert.is(tandem.starts().length, 1);
});

start("refuses a run directory that others can write to, and one that is a link", async ({ tandem }) => {
  mkdirSync(tandem.runDirectory);
  chmodSync(tandem.runDirectory, 0o777);
  assert.match((await tandem.start("c1")).stderr, /run: writable by others\n$/);
  const link = join(tandem.directory, "link");
  symlinkSync(tandem.runDirectory, link);
  assert.match(
    (await tandem.start("c1", undefined, { environment: { TANDEM_RUN_DIR: link } })).stderr,
    /link: Not a directory\n$/,
  );
  assert.match(
    (await tandem.start("c1", undefined, { environment: { TANDEM_RUN_DIR: "run" } })).stderr,
    /not an absolute path\n$/,
  );
});

start("names a run directory whose sockets would be too long", async ({ tandem }) => {
  const result = await tandem.start("c1", undefined, {
    environment: { TANDEM_RUN_DIR: join(tandem.directory, "x".repeat(80)) },
  });
  assert.is(result.status, 1);
  assert.match(result.stderr, /File name too long\n$/);
});

start("copes with a launcher that was killed at any moment", async ({ tandem }) => {
  await tandem.start("warm");
  for (let round = 0; round < 40; round++) {
    const directory = tandem.bundle("c1");
    const environment = { ...process.env, TANDEM_RUN_DIR: tandem.runDirectory };
    const killed = spawn(
      tandem.launcher,
      ["-namespace", "ns", "-address", "/run/c.sock", "-id", "c1", "start"],
      { cwd: directory, env: environment, stdio: "ignore" },
    );
    // From before its first instruction to after its last one: it lives for about a millisecond.
    await sleep((round % 8) / 4);
    killed.kill("SIGKILL");
    if (killed.exitCode === null && killed.signalCode === null) await once(killed, "exit");
    const result = await tandem.start("c1");
    assert.is(result.status, 0, result.stderr);
    assert.ok(await answers(socketOf(result.stdout)));
  }
});

start("without an action says how it is used and starts nothing", async ({ tandem }) => {
  for (const parameters of [[], ["frob"], ["-id", "start"]]) {
    const result = await tandem.run(parameters);
    assert.is(result.status, 1);
    assert.match(result.stderr, /usage/);
  }
  assert.not.ok(existsSync(tandem.runDirectory));
});

start.run();
