/** What every executor must do the same, on every generation of containerd. */
import * as assert from "uvu/assert";
import { waitFor } from "../../../scripts/private-containerd/wait-for.ts";
import type { Case } from "./case.ts";
import { fails } from "./fails.ts";
import { isAlive } from "./proc.ts";

const TERM = 15;
const KILL = 9;

export const coreCases: readonly Case[] = [
  {
    name: "a container runs from create to delete, and its exit code comes out",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.exit(7) });
      const pid = await c.create();
      assert.ok(isAlive(pid));
      assert.is(await c.status(), "CREATED");
      assert.is(await c.start(), pid);
      assert.is(await c.wait(), 7);
      assert.is(await c.status(), "STOPPED");
      assert.is((await c.state()).exitStatus, 7);
      const deleted = await c.delete();
      assert.is(deleted.exitStatus, 7);
      assert.is(deleted.pid, pid);
      await fails(c.state(), "not_found");
    },
  },
  {
    name: "stdout and stderr come out byte for byte, apart",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.stderr("ümlaut\t\u0001") });
      await c.run();
      assert.is(await c.stderr.end(), "ümlaut\t\u0001\n");
      assert.is(await c.stdout.end(), "");
      assert.is(await c.wait(), 0);
    },
  },
  {
    name: "arguments and environment are the spec's, and no others",
    async run(scene, runtime) {
      const args = runtime.programs.greet("one two", "", "drei=3");
      await using c = scene.container(runtime, { args, env: ["GREETING=good morning", "EMPTY="] });
      await c.run();
      const lines = (await c.stdout.end()).trimEnd().split("\n");
      const start = lines.indexOf("arg one two");
      assert.equal(lines.slice(start, start + 3), ["arg one two", "arg ", "arg drei=3"]);
      // HOME is every OCI runtime's addition, the others the shell's.
      const added = /^env (HOME|PWD|SHLVL|_)=/;
      const environment = lines.filter((line) => line.startsWith("env ") && !added.test(line));
      assert.equal(environment.sort(), ["env EMPTY=", "env GREETING=good morning", "env PATH=/bin"]);
    },
  },
  {
    name: "stdin reaches the container, and ends with CloseIO",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.cat, withStdin: true });
      await c.run();
      const stdin = await c.streams.stdin();
      stdin.write("first\n");
      stdin.write("second");
      stdin.close();
      await c.closeStdin();
      assert.is(await c.wait(), 0);
      assert.is(await c.stdout.end(), "first\nsecond");
    },
  },
  {
    name: "wait answers before start, after the exit, and to several at once",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.exit(3) });
      await c.create();
      const early = [c.wait(), c.wait(), c.wait()];
      await c.start();
      assert.equal(await Promise.all(early), [3, 3, 3]);
      assert.is(await c.wait(), 3);
    },
  },
  {
    name: "SIGTERM ends it with 143, as the program says, and a second kill finds nothing",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      const pid = await c.run();
      await c.stdout.shows("sleeping\n");
      assert.is(await c.status(), "RUNNING");
      await c.kill(TERM);
      assert.is(await c.wait(), 143);
      assert.not.ok(isAlive(pid));
      await fails(c.kill(TERM), "not_found");
    },
  },
  {
    name: "SIGKILL ends it with 137",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      await c.stdout.shows("sleeping\n");
      await c.kill(KILL);
      assert.is(await c.wait(), 137);
      assert.is((await c.delete()).exitStatus, 137);
    },
  },
  {
    name: "a created container can be killed and deleted without a start",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      const pid = await c.create();
      await c.kill(KILL);
      assert.is(await c.wait(), 137);
      assert.is((await c.delete()).exitStatus, 137);
      assert.not.ok(isAlive(pid));
      assert.is(c.stdout.text, "");
    },
  },
  {
    name: "pids are the host's, of processes that exist",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      const pid = await c.run();
      await c.stdout.shows("sleeping\n");
      const pids = await c.pids();
      assert.ok(pids.includes(pid), `${pids} has not ${pid}`);
      assert.ok(pids.every(isAlive), String(pids));
    },
  },
  {
    name: "events come in order",
    async run(scene, runtime) {
      const { events } = scene.client;
      await using c = scene.container(runtime, { args: runtime.programs.exit(5) });
      const pid = await c.run();
      await c.wait();
      await c.delete();
      // runc's shim may be gone before it has sent the last of them, and sends the delete before the exit at times.
      if (runtime.name === "runc") await events.next(c.id, "start");
      else {
        assert.is((await events.next(c.id, "exit")).exitStatus, 5);
        assert.is((await events.next(c.id, "delete")).exitStatus, 5);
        assert.equal(events.story(c.id), ["create", "start", "exit", "delete"]);
      }
      assert.equal(events.story(c.id).slice(0, 2), ["create", "start"]);
      for (const event of events.of(c.id)) {
        if (event.topic !== "/tasks/delete") assert.is(event.pid, pid, event.topic);
        assert.is(event.namespace, c.namespace);
      }
    },
  },
  {
    name: "a running container cannot be deleted, a second one of its id not created, an unknown one not found",
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.sleep });
      await c.run();
      // runc's shim has no code for it.
      await fails(c.delete(), runtime.name === "runc" ? undefined : "failed_precondition", /running/);
      await fails(c.createTask([]), "already_exists");
      assert.is(await c.status(), "RUNNING");
      await using unknown = scene.container(runtime, { args: [] });
      await fails(unknown.state(), "not_found");
      await fails(unknown.kill(KILL), "not_found");
      await fails(unknown.wait(), "not_found");
    },
  },
  {
    name: "nothing of a deleted container is left",
    async run(scene, runtime) {
      const c = scene.container(runtime, { args: runtime.programs.sleep });
      const pid = await c.run();
      await c.remove();
      await waitFor(() => !isAlive(pid), 5000, "the end of the process");
      await scene.containerd.assertClean();
    },
  },
];
