/** What only a Linux container has: working directory, signals to all of its processes, what the kernel says about it. */
import * as assert from "uvu/assert";
import { waitFor } from "../../../scripts/private-containerd/wait-for.ts";
import type { Case } from "./case.ts";
import { fails } from "./fails.ts";
import { isAlive, namespaceOf, statusOf } from "./proc.ts";

const both = ["tandem-linux", "runc"] as const;
const sh = (script: string): readonly string[] => ["/bin/sh", "-c", script];

export const linuxCases: readonly Case[] = [
  {
    name: "the working directory is the spec's",
    on: both,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: sh("pwd"), cwd: "/tmp" });
      await c.run();
      assert.is(await c.stdout.end(), "/tmp\n");
    },
  },
  {
    name: "stdin is echoed while it comes",
    on: both,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: ["/bin/cat"], withStdin: true });
      await c.run();
      const stdin = await c.streams.stdin();
      stdin.write("one\n");
      await c.stdout.shows("one\n");
      stdin.write("two\n");
      await c.stdout.shows("one\ntwo\n");
      stdin.close();
      await c.closeStdin();
      assert.is(await c.wait(), 0);
    },
  },
  {
    name: "a megabyte comes through whole",
    on: both,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: sh("yes 0123456789abcde | head -c 1048576") });
      await c.run();
      assert.is((await c.stdout.end()).length, 1_048_576);
      assert.is(await c.wait(), 0);
    },
  },
  {
    name: "all processes of a container end with its first",
    on: both,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: sh("sleep 1000 & sleep 1000 & echo up; wait") });
      await c.run();
      await c.stdout.shows("up\n");
      const pids = await waitFor(
        async () => {
          const all = await c.pids();
          return all.length === 3 ? all : undefined;
        },
        5000,
        "three processes",
      );
      assert.ok(pids.every(isAlive));
      await c.kill(9, { all: true });
      assert.is(await c.wait(), 137);
      assert.not.ok(pids.some(isAlive), "all are gone when the exit is told");
    },
  },
  {
    name: "the kernel says what the spec says: namespaces, capabilities, no_new_privs",
    on: both,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      const pid = await c.run();
      await c.stdout.shows("sleeping\n");
      const status = statusOf(pid);
      assert.is(status["CapEff"], "00000000a80425fb");
      assert.is(status["CapBnd"], "00000000a80425fb");
      assert.is(status["CapAmb"], "0000000000000000");
      assert.is(status["NoNewPrivs"], "1");
      for (const type of ["mnt", "pid", "ipc", "uts", "net"])
        assert.is.not(namespaceOf(pid, type), namespaceOf("self", type), type);
    },
  },
  {
    name: "a program that is not there makes create or start fail, and nothing is left",
    on: both,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: ["/no/such/program"] });
      await fails(c.run(), undefined, /no such file|not found/);
      await c.remove();
      await scene.containerd.assertClean();
    },
  },
];
