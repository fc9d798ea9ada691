/** Verbs of the command line that look at a container: ps, events, list, state, spec. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { exitOf, jsonLines, OciCommands } from "./oci-commands.ts";

const look = suite("tandem-oci: looking at containers");
let oci: OciCommands;

look.before(() => {
  oci = new OciCommands();
});
look.after(async () => {
  await oci[Symbol.asyncDispose]();
});

look("ps lists the pids of a container's processes, as the machine numbers them", async () => {
  await oci.begin("ps1", oci.bundle("sleep 1000 & sleep 1000; true"));
  const pids = await waitFor(
    async () => {
      const list = JSON.parse(await oci.ok("ps", "--format", "json", "ps1")) as number[];
      return list.length === 3 ? list : undefined;
    },
    10_000,
    "three processes",
  );
  assert.ok(pids.includes(Number((await oci.state("ps1"))["pid"])));
  assert.ok(pids.every((pid) => existsSync(`/proc/${pid}`)));
  const [title = "", ...rows] = (await oci.ok("ps", "ps1")).trimEnd().split("\n");
  assert.match(title, /UID +PID/);
  assert.is(rows.length, 3);
  assert.is(rows.filter((row) => row.includes("sleep 1000")).length, 3, rows.join("\n"));
  assert.equal(
    (await oci.ok("ps", "ps1", "-o", "pid,comm"))
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((row) => Number(row.trim().split(" ")[0]))
      .sort(),
    [...pids].sort(),
  );
  await oci.ok("delete", "-f", "ps1");
});

look("ps says which option is wrong", async () => {
  await oci.create("ps2", oci.bundle("true"));
  assert.match((await oci.run("ps", "-f", "yaml", "ps2")).stderr, /--format yaml/);
  assert.match((await oci.run("ps", "ps2", "-o", "comm")).stderr, /column PID/);
  assert.match((await oci.run("ps", "none")).stderr, /container none: does not exist/);
  await oci.ok("delete", "ps2");
});

look("events --stats prints once what the kernel counts", async () => {
  await oci.begin("ev1", oci.bundle("sleep 1000", { linux: { resources: { pids: { limit: 17 } } } }));
  const { stdout, stderr, status } = await oci.run("events", "--stats", "ev1");
  assert.is(status, 0, stderr);
  const [event] = jsonLines(stdout);
  assert.is(event?.["type"], "stats");
  assert.is(event?.["id"], "ev1");
  const data = event?.["data"] as {
    pids: { current: number; limit: number };
    cpu: { usage: { total: number } };
    memory: { usage: { usage: number }; raw: Record<string, number> };
  };
  assert.is(data.pids.limit, 17);
  assert.ok(data.pids.current >= 1);
  assert.ok(data.cpu.usage.total > 0);
  assert.ok(data.memory.usage.usage > 0);
  assert.ok("pgfault" in data.memory.raw);
  // A limit of 2^63 - 4096 keeps its last digits.
  assert.not.match(stdout, /9223372036854772000/);
  await oci.ok("delete", "-f", "ev1");
});

look("events go on at the interval until the container ends, and so does the command", async () => {
  const bundle = oci.bundle("sleep 1000");
  await oci.begin("ev2", bundle);
  const output = join(bundle, "events");
  const child = oci.spawn(["events", "--interval=50ms", "ev2"], output);
  const ended = exitOf(child);
  await waitFor(() => jsonLines(readFileSync(output, "utf8")).length >= 3, 10_000, "three looks");
  await oci.ok("kill", "ev2", "KILL");
  assert.is(await ended, 0);
  assert.ok(jsonLines(readFileSync(output, "utf8")).every(({ type }) => type === "stats"));
  assert.match((await oci.run("events", "ev2")).stderr, /container not running/);
  await oci.ok("delete", "ev2");
});

look("events tell of a process that was killed for want of memory", async () => {
  const bundle = oci.bundle(
    "while test ! -e /tmp/go; do sleep 0.05; done; head -c 64m /dev/zero | tail -c 60m | wc; sleep 1000",
    {
      linux: { resources: { memory: { limit: 8 << 20 } } },
    },
  );
  await oci.begin("ev3", bundle);
  const output = join(bundle, "events");
  const ended = exitOf(oci.spawn(["events", "ev3"], output));
  // The watch begins some time after the command has; it says nothing about when.
  await oci.ok("exec", "ev3", "sh", "-c", "sleep 1; touch /tmp/go");
  await waitFor(() => jsonLines(readFileSync(output, "utf8")).length > 0, 15_000, "an event");
  assert.equal(jsonLines(readFileSync(output, "utf8"))[0], { type: "oom", id: "ev3" });
  await oci.ok("delete", "-f", "ev3");
  assert.is(await ended, 0);
});

look("spec writes a config.json with which a container runs, and no second one over it", async () => {
  const directory = mkdtempSync("/tmp/to-spec-");
  try {
    await oci.ok("spec", "--bundle", directory);
    const config = JSON.parse(readFileSync(join(directory, "config.json"), "utf8")) as Record<string, never>;
    assert.is(config["ociVersion"], "1.3.0");
    assert.match((await oci.call(["spec"], { directory })).stderr, /config.json.*EEXIST|exist/);
    const { linux, process: inner, ...rest } = config as unknown as { linux: object; process: object };
    const bundle = oci.bundle("true", {
      ...rest,
      linux,
      process: { ...inner, terminal: false, args: ["sh", "-c", "echo $TERM; touch /x"] },
    } as never);
    const { stdout, stderr, status } = await oci.run("run", "--bundle", bundle, "sp1");
    assert.is(stdout, "xterm\n", stderr);
    assert.is(status, 1, "the root is read-only");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

look("spec --rootless is for a user without privileges", async () => {
  const directory = mkdtempSync("/tmp/to-spec-");
  try {
    await oci.call(["spec", "--rootless"], { directory });
    const text = readFileSync(join(directory, "config.json"), "utf8");
    assert.match(text, /"uidMappings"/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

look.run();
