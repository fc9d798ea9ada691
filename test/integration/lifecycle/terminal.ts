import * as assert from "uvu/assert";
import { run } from "../../../scripts/private-containerd/command.ts";
import type { Case } from "./case.ts";
import { fails } from "./fails.ts";

const both = ["tandem-linux", "runc"] as const;
const sh = (script: string): readonly string[] => ["/bin/sh", "-c", script];

export const terminalCases: readonly Case[] = [
  {
    name: "a terminal has the size that was asked for, echoes, and carries signals",
    on: both,
    async run(scene, runtime) {
      const script = 'trap "stty size; exit 5" INT; while read line; do echo "got $line"; done';
      await using c = scene.container(runtime, { args: sh(script), terminal: true, withStdin: true });
      await c.run();
      const stdin = await c.streams.stdin();
      stdin.write("a line\n");
      await c.stdout.shows("a line\r\ngot a line\r\n");
      await c.resize(132, 43);
      stdin.write("\u0003\n");
      assert.is(await c.wait(), 5);
      await c.stdout.shows("43 132");
      stdin.close();
    },
  },
  {
    name: "a terminal that nobody has open for a while goes on when it is opened again, as an init does",
    on: both,
    async run(scene, runtime) {
      const script = "echo first; exec <&- >&- 2>&-; sleep 0.5; echo second >/dev/console; exit 4";
      await using c = scene.container(runtime, { args: sh(script), terminal: true });
      await c.run();
      await c.stdout.shows("first\r\n");
      assert.is(await c.wait(), 4);
      await c.stdout.shows("second\r\n");
    },
  },
  {
    name: "ctr run -t works from a real terminal",
    on: both,
    async run(scene, runtime) {
      const { containerd } = scene;
      const ctr = `${containerd.ctrProgram} --address ${containerd.address} --namespace ${containerd.namespace}`;
      const inside =
        "test -t 0 && test -t 1 && test -t 2 && echo all-tty; until stty size | grep 33; do :; done; exit 6";
      const command = `stty rows 33 cols 77; ${ctr} run --rm -t --fifo-dir ${containerd.directory}/fifo --runtime ${runtime.runtime} ${runtime.image} pty-${runtime.name} /bin/sh -c '${inside}'`;
      const finished = await run("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
        timeoutMs: 20_000,
      });
      assert.match(finished.stdout, /all-tty/);
      assert.match(finished.stdout, /33 77/);
      assert.is(finished.status, 6, finished.stdout);
    },
  },
  {
    name: "a terminal is refused by name",
    on: ["tandem-wasm"],
    async run(scene, runtime) {
      await using c = scene.container(runtime, { args: runtime.programs.exit(0), terminal: true });
      await fails(c.create(), "unimplemented", /terminal/);
      await using ok = scene.container(runtime, { args: runtime.programs.sleep });
      await ok.run();
      await ok.exec("e1", { args: runtime.programs.exit(0), terminal: true });
      await fails(ok.start("e1"), "unimplemented", /terminal/);
    },
  },
];
