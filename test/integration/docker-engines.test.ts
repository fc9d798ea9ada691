/** What differs between Docker Engines: the newest, and one from before there were runtime types. */
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Docker, type Engine, whyNoDocker } from "../support/docker.ts";
import { config, importBusybox, sleeps } from "../support/docker-suite.ts";

const newest: Engine = "28";
const latest = suite(`Docker Engine ${newest}`);
const noLatest = whyNoDocker(newest);
const smoke = "runs, executes, stops and removes a container";
if (noLatest !== undefined) latest.skip(`${smoke} (${noLatest})`, () => undefined);
else
  latest(smoke, async () => {
    await using daemon = await Docker.start(newest, config);
    await importBusybox(daemon);
    assert.is(await daemon.ok(["run", "--rm", "busybox", "echo", "hello"]), "hello");
    assert.is((await daemon.docker(["run", "--rm", "busybox", "/etc/passwd"])).status, 126);
    await daemon.ok(["run", "--detach", "--name", "box", "busybox", "sh", "-c", sleeps]);
    assert.is((await daemon.docker(["exec", "box", "sh", "-c", "exit 5"])).status, 5);
    await daemon.ok(["stop", "box"]);
    assert.is(await daemon.inspect("box", "{{.State.ExitCode}}"), "0");
    await daemon.assertClean();
  });
latest.run();

/** Before Engine 23 a runtime is a program with runc's command line, called by containerd's runc shim. */
const byPath: Engine = "20.10";
const older = suite(`Docker Engine ${byPath} by the path of tandem-oci`);
const noOlder = whyNoDocker(byPath);
const life = "runs, executes, pauses, updates, stops and removes a container";
if (noOlder !== undefined) older.skip(`${life} (${noOlder})`, () => undefined);
else
  older(life, async () => {
    const path = fileURLToPath(new URL("../../dist/bin/tandem-oci", import.meta.url));
    await using daemon = await Docker.start(byPath, {
      ...config,
      runtimes: { tandem: { path } },
      bridge: "none",
    });
    await importBusybox(daemon);
    const run = async (...words: string[]) => (await daemon.docker(["run", "--rm", ...words])).status;
    assert.is(await run("busybox", "sh", "-c", "exit 7"), 7);
    assert.is(await run("busybox", "nowhere"), 127);
    assert.is(await run("busybox", "/etc/passwd"), 126);
    const limits = ["--memory", "16m", "--memory-swap", "16m"];
    assert.is(await run(...limits, "busybox", "sh", "-c", "sleep 0.2; exec tail /dev/zero"), 137);
    const trap = "trap 'exit 3' TERM; sleep 1000 & wait";
    await daemon.ok(["run", "--detach", "--name", "box", "busybox", "sh", "-c", trap]);
    assert.is((await daemon.docker(["exec", "box", "sh", "-c", "exit 5"])).status, 5);
    await daemon.ok(["pause", "box"]);
    await daemon.ok(["unpause", "box"]);
    await daemon.ok(["update", "--memory", "64m", "--memory-swap", "64m", "box"]);
    await daemon.ok(["stop", "box"]);
    assert.is(await daemon.inspect("box", "{{.State.ExitCode}}"), "3");
    const terminal = ["run", "--rm", "-it", "busybox", "sh", "-c", "tty; exit 4"];
    const shown = await daemon.onTerminal({ rows: 33, columns: 77 }, terminal);
    assert.match(shown.stdout, /\/dev\/pts\/0/);
    assert.is(shown.status, 4);
    await daemon.assertClean();
  });
older.run();
