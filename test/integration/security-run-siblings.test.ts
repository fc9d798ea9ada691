/** Guests of `tandem run` are born of one process: what one was given must not be in the memory of the next. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parentOf } from "./lifecycle/proc.ts";
import { type Runner, RunningGuest } from "./run-guest.ts";
import { Runners } from "./runners.ts";
import { holds, Tracer } from "./system-calls-in.ts";

const security = suite("a hostile guest's siblings");
let runners: Runners;
let tracer: Tracer;

security.before(async () => {
  runners = await Runners.create();
  tracer = new Tracer();
});
security.after(async () => {
  tracer.remove();
  await runners[Symbol.asyncDispose]();
});

function both(name: string, body: (runner: Runner) => Promise<void>): void {
  security(name, async () => {
    for (const runner of runners.all) await body(runner);
  });
}

both("have left nothing of their environment, arguments, directories and rules", async (runner) => {
  const mark = `${process.pid}-${runner.uid}`;
  const secrets = ["variable", "argument", "directory", "rule"].map((what) => `the-${what}-of-${mark}`);
  const [variable = "", argument = "", directory = "", rule = ""] = secrets;
  const path = join(runners.directory, directory);
  mkdirSync(path);
  const options = ["--env", `PASSWORD=${variable}`, "--dir", `${path}::/d`, "--allow", `${rule}.test:443`];
  const neighbour = await RunningGuest.begin(runner, [...options, runners.guest, "wait", argument]);
  const running: RunningGuest[] = [neighbour];
  try {
    assert.ok(holds(neighbour.guest, variable), "the test finds what is there");
    // Spares are born before a request and replaced after it: later ones, too.
    for (let i = 0; i < 4; i++) running.push(await RunningGuest.begin(runner, [runners.guest, "wait"]));
    const makers = new Set(running.map(({ guest }) => parentOf(guest)));
    for (const pid of [...running.slice(1).map(({ guest }) => guest), ...makers])
      for (const secret of secrets) assert.not(holds(pid, secret), `${runner.name}: ${secret} in ${pid}`);
  } finally {
    for (const { child } of running) child.kill("SIGKILL");
    for (const { exited } of running) await exited;
  }
});

both("are not reached by a signal, seen by their number, or asked for their limits", async (runner) => {
  const options = ["--dir", `${runners.directory}::/d`];
  await runners.withGuest(runner, options, async (sibling) => {
    await runners.withGuest(runner, options, (pid) => {
      for (const other of [sibling, parentOf(sibling), process.pid])
        assert.equal(
          tracer.callsIn(
            pid,
            ["kill", other, 0],
            ["tgkill", other, other, 0],
            ["tkill", other, 0],
            ["prlimit64", other, 7, 0, "*16"],
            ["getpgid", other],
            ["getsid", other],
            ["getpriority", 0, other],
            ["sched_getscheduler", other],
            ["sched_getaffinity", other, 128, "*128"],
            ["get_robust_list", other, "*8", "*8"],
          ),
          new Array<string>(10).fill("ESRCH"),
          `${runner.name}: ${other}`,
        );
      const [self, parent, everybody] = tracer.callsIn(pid, ["getpid"], ["getppid"], ["kill", -1, 0]);
      assert.equal([self, parent, everybody], ["1", "0", "ESRCH"]);
    });
  });
});

if (Tracer.isPossible) security.run();
