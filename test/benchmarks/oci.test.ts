import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createBundle, EXTRA_MOUNTS, largeProfile } from "../../benchmarks/oci/bundles.ts";
import { Driver, type Step, type StepTime } from "../../benchmarks/oci/driver.ts";
import { summariseSteps } from "../../benchmarks/oci/measure.ts";
import { formatOciResults } from "../../benchmarks/oci/report.ts";
import { parseSpec } from "../../src/bundle/spec.ts";

const oci = suite<{ directory: string; driver: Driver }>("benchmark of the command line");

oci.before((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "tandem-bench-test-"));
  context.driver = Driver.compile(context.directory);
});
oci.after(({ directory }) => rmSync(directory, { recursive: true }));

function step(name: string | undefined, ...fields: string[]): Step {
  return { runtime: "x", name, fields };
}

function shell(script: string, ...environment: string[]): Step {
  return step("run", "run", "-", ...environment, "--", "/bin/sh", "-c", script);
}

oci(
  "each step is done in each round, in turns, with the environment of the plan and nothing else",
  async ({ driver, directory }) => {
    const file = join(directory, "out");
    const first = shell(`echo "first {} $A" >>${file}`, "A=1");
    const second = shell(`echo "second $(env | grep -c HOME)" >>${file}`);
    const times = await driver.run([first, second], 2);
    assert.is(readFileSync(file, "utf8"), "first 0 1\nsecond 0\nfirst 1 1\nsecond 0\n");
    assert.equal(
      times.map((time) => [time.step === first ? "first" : "second", time.round]),
      [
        ["first", 0],
        ["second", 0],
        ["first", 1],
        ["second", 1],
      ],
    );
    assert.ok(times.every(({ milliseconds }) => milliseconds > 0));
  },
);

oci("a failed step ends the plan, with what the program printed", async ({ driver }) => {
  let error: unknown;
  try {
    await driver.run([shell("echo not today >&2; exit 3")], 1);
  } catch (thrown) {
    error = thrown;
  }
  assert.match(String(error), /status 3: .*not today/);
});

oci("a step that waits for a line is done when the line has come", async ({ driver }) => {
  const line = step("run", "line", "-", "--", "/bin/sh", "-c", "echo ready >&$_OCI_SYNCPIPE");
  assert.is((await driver.run([line], 1)).length, 1);
});

oci("create, start and delete of a round are summed up, steps without a name are not", () => {
  const time = (name: string | undefined, round: number, milliseconds: number): StepTime => ({
    step: step(name),
    round,
    milliseconds,
  });
  const rounds = [0, 1].flatMap((round) => [
    time("create", round, 5),
    time("start", round, 2 + round),
    time(undefined, round, 100),
    time("delete", round, 1),
  ]);
  const summaries = summariseSteps(rounds).get("x");
  assert.is(summaries?.["life"]?.min, 8);
  assert.is(summaries?.["life"]?.median, 8.5);
  assert.is(summaries?.["create"]?.count, 2);
});

oci("the large bundle has its mounts and a profile as large as the engines'", ({ directory }) => {
  const bundle = join(directory, "bundle");
  createBundle({ directory: bundle, kind: "mounts", rootfs: "/rootfs", cgroupsPath: "/x" });
  const spec = parseSpec(readFileSync(join(bundle, "config.json"), "utf8"));
  assert.is(spec.mounts?.filter(({ destination }) => destination.startsWith("/mnt/")).length, EXTRA_MOUNTS);
  const { syscalls } = largeProfile();
  assert.ok((syscalls[0]?.names.length ?? 0) > 250);
});

oci("the report has a row for each runtime, and ratios to crun", () => {
  const times = (milliseconds: number) =>
    summariseSteps([{ step: step("run"), round: 0, milliseconds }]).get("x") ?? {};
  const text = stripVTControlCharacters(
    formatOciResults({
      machine: { machine: "2 × CPU" },
      runtimes: [
        { name: "quick", description: "quick 1", plain: times(5) },
        {
          name: "crun",
          description: "crun 1",
          plain: times(10),
          alive: { containers: 9, first: 10, last: 11, pss: 90, available: 800 },
        },
      ],
      missing: [{ name: "youki", reason: "no youki" }],
    }),
  );
  assert.match(text, /quick .*5\.0 .*× 0\.50/);
  assert.match(text, /crun .*9 .*10\.0 ms.*11\.0 ms.*× 1\.10.*90 kB.*800 kB/);
  assert.match(text, /not measured: youki: no youki/);
});

oci.run();
