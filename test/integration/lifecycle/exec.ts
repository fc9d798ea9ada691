/** Further processes in a running container. */
import * as assert from "uvu/assert";
import type { Case } from "./case.ts";
import { fails } from "./fails.ts";
import { isAlive, namespaceOf } from "./proc.ts";

const both = ["tandem-linux", "runc"] as const;
const sh = (script: string): readonly string[] => ["/bin/sh", "-c", script];

export const execCases: readonly Case[] = [
  {
    name: "an exec has its own streams and exit code, and the container goes on",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      await c.stdout.shows("sleeping\n");
      const failing = await c.execToEnd("e1", runtime.programs.exit(9));
      assert.equal(failing, { status: 9, stdout: "", stderr: "" });
      const talking = await c.execToEnd("e2", runtime.programs.stderr("from exec"));
      assert.equal(talking, { status: 0, stdout: "", stderr: "from exec\n" });
      assert.is(await c.status(), "RUNNING");
      assert.is(c.stdout.text, "sleeping\n");
      await fails(c.wait("e1"), "not_found");
    },
  },
  {
    name: "an exec's stdin ends with CloseIO, the container's stays",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      const exec = await c.exec("e1", { args: runtime.programs.cat, withStdin: true });
      await c.start("e1");
      const stdin = await exec.stdin();
      stdin.write("through exec");
      stdin.close();
      await c.closeStdin("e1");
      assert.is(await c.wait("e1"), 0);
      assert.is(await exec.stdout.end(), "through exec");
    },
  },
  {
    name: "an exec runs in the container's namespaces and cgroup",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      const pid = await c.run();
      await c.exec("e1", { args: runtime.programs.spin });
      const exec = await c.start("e1");
      const types = ["mnt", "pid", "net", "ipc", "uts"].filter(
        // Each wasm process has a mount and an ipc namespace for itself; a guest can share memory with nobody.
        (type) => runtime.name !== "tandem-wasm" || !["mnt", "ipc", "uts", "net"].includes(type),
      );
      for (const type of types) assert.is(namespaceOf(exec, type), namespaceOf(pid, type), type);
      assert.is.not(namespaceOf(exec, "pid"), namespaceOf("self", "pid"));
      assert.ok((await c.pids()).includes(exec));
      await c.kill(9, { execId: "e1" });
      assert.is(await c.wait("e1"), 137);
      assert.ok(isAlive(pid));
    },
  },
  {
    name: "a signal reaches the exec only",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      const exec = await c.exec("e1", { args: runtime.programs.sleep });
      await c.start("e1");
      await exec.stdout.shows("sleeping\n");
      await c.kill(15, { execId: "e1" });
      assert.is(await c.wait("e1"), 143);
      await fails(c.kill(15, { execId: "e1" }), "not_found");
      assert.is(await c.status(), "RUNNING");
    },
  },
  {
    name: "many execs at once each get their own output",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      const one = (index: number) => c.execToEnd(`many-${index}`, runtime.programs.stderr(`exec ${index}`));
      const results = await Promise.all(Array.from({ length: 12 }, (_, index) => one(index)));
      for (const [index, { status, stderr }] of results.entries()) {
        assert.is(status, 0);
        assert.is(stderr, `exec ${index}\n`);
      }
    },
  },
  {
    name: "an exec of a program that is not there fails, and the container goes on",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      await c.exec("e1", { args: ["/no/such/program"] });
      await fails(c.start("e1"), undefined, /no such file|not found/i);
      assert.is((await c.execToEnd("e2", runtime.programs.exit(0))).status, 0);
    },
  },
  {
    name: "an exec id can be used once at a time, and again after its delete",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      await c.execToEnd("again", runtime.programs.exit(1));
      await c.exec("again", { args: runtime.programs.exit(2) });
      await fails(c.exec("again", { args: runtime.programs.exit(3) }), "already_exists");
      await c.start("again");
      assert.is(await c.wait("again"), 2);
    },
  },
  {
    name: "no exec after the end",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.exit(0) });
      await c.run();
      await c.wait();
      const adding = async (): Promise<void> => {
        await c.exec("late", { args: runtime.programs.exit(0) });
        await c.start("late");
      };
      await fails(adding(), runtime.name === "runc" ? undefined : "failed_precondition");
    },
  },
  {
    name: "events of execs stand between the container's, their exits before its own",
    async run(scene, runtime) {
      const { events } = scene.client;
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      await c.stdout.shows("sleeping\n");
      await c.execToEnd("short", runtime.programs.exit(4));
      const exec = await c.exec("long", { args: runtime.programs.sleep });
      await c.start("long");
      await exec.stdout.shows("sleeping\n");
      await c.kill(9);
      await c.wait();
      await c.delete();
      const begin = ["create", "start", "exec-added short", "exec-started short", "exit short"];
      begin.push("exec-added long", "exec-started long");
      // runc's shim may be gone before its last events are sent.
      if (runtime.name !== "runc") {
        await events.next(c.id, "delete");
        assert.equal(events.story(c.id), [...begin, "exit long", "exit", "delete"]);
        assert.is((await events.next(c.id, "exit", ({ id }) => id === "long")).exitStatus, 137);
      }
      await events.next(c.id, "exec-started", ({ execId }) => execId === "long");
      assert.equal(events.story(c.id).slice(0, begin.length), begin);
    },
  },
  {
    name: "a terminal exec has a tty of the size that was asked for",
    on: both,
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      const exec = await c.exec("tty", {
        args: sh("read x; tty; stty size"),
        terminal: true,
        withStdin: true,
      });
      await c.start("tty");
      await c.resize(91, 37, "tty");
      const stdin = await exec.stdin();
      stdin.write("\n");
      await exec.stdout.shows("37 91");
      await exec.stdout.shows(/\/dev\/pts\/\d/);
      assert.is(await c.wait("tty"), 0);
      stdin.close();
    },
  },
];
