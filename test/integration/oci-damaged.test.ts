/** `delete --force` of what no other command touches: a container whose record is damaged, or was never written. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { OciCommands } from "./oci-commands.ts";

const damaged = suite("tandem-oci: damaged records");
let oci: OciCommands;

damaged.before(() => {
  oci = new OciCommands();
});
damaged.after(async () => {
  await oci[Symbol.asyncDispose]();
});

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/exe`);

interface Victim {
  readonly file: string;
  readonly whole: string;
  readonly pid: number;
  readonly cgroups: readonly string[];
}

/** Starts a container, by default in a cgroup that config.json names. */
async function victim(id: string, change: Parameters<OciCommands["bundle"]>[1] = {}): Promise<Victim> {
  await oci.begin(id, oci.bundle("sleep 1000", change));
  const file = join(oci.root, `${id}/state.json`);
  const whole = readFileSync(file, "utf8");
  return { file, whole, ...(JSON.parse(whole) as Pick<Victim, "pid" | "cgroups">) };
}

/** As whoever has read why it failed may do: puts right what was damaged, and deletes it. */
async function putRight(id: string, { file, whole, pid }: Victim): Promise<void> {
  mkdirSync(join(oci.root, id), { mode: 0o700, recursive: true });
  writeFileSync(file, whole, { mode: 0o600 });
  await oci.ok("delete", "--force", id);
  assert.not.ok(isAlive(pid));
  assert.equal(oci.leftovers(), []);
}

/** A record of which some parts are something else. */
const changed = (whole: string, change: object): string =>
  JSON.stringify({ ...(JSON.parse(whole) as object), spec: 5, ...change });

for (const [name, content] of [
  ["empty", () => ""],
  ["cut off", (whole) => whole.slice(0, whole.length / 2)],
  ["garbage", () => "\xff\x00{]"],
  ["another's", (whole) => whole.replace('"id":"u7"', '"id":"u8"')],
] as readonly [string, (whole: string) => string][]) {
  damaged(`a container whose record is ${name} is ended and removed by delete --force alone`, async () => {
    const bundle = oci.bundle("sleep 1000", { linux: { cgroupsPath: undefined } });
    await oci.begin("u7", bundle);
    const { pid } = (await oci.state("u7")) as { readonly pid: number };
    const file = join(oci.root, "u7/state.json");
    const whole = readFileSync(file, "utf8");
    writeFileSync(file, content(whole));
    for (const args of [["delete"], ["kill"], ["state"]]) {
      const { status, stderr } = await oci.run(...args, "u7");
      assert.is(status, 1);
      assert.match(stderr, /u7: state\.json is (damaged|another's): delete --force removes what it finds/);
    }
    assert.ok(isAlive(pid));
    const log = join(oci.directory, "log");
    const { status, stderr } = await oci.run("--log", log, "delete", "--force", "u7");
    assert.is(status, 0, stderr);
    assert.match(
      stderr,
      /^tandem-oci: container u7: its record was damaged; removed \S+\/u7, .*; not done: /,
    );
    assert.not.match(stderr, /its processes/);
    assert.match(readFileSync(log, "utf8"), /level=warning .*its record was damaged/);
    assert.not.ok(isAlive(pid));
    const { cgroups } = JSON.parse(whole) as { readonly cgroups: readonly string[] };
    assert.ok(cgroups.length > 0 && !cgroups.some((directory) => existsSync(directory)));
    assert.equal(oci.leftovers(), []);
  });
}

damaged("a container without a record is ended and removed by delete --force", async () => {
  await oci.begin("u8", oci.bundle("sleep 1000", { linux: { cgroupsPath: undefined } }));
  const { pid } = (await oci.state("u8")) as { readonly pid: number };
  const file = join(oci.root, "u8/state.json");
  const { cgroups } = JSON.parse(readFileSync(file, "utf8")) as { readonly cgroups: readonly string[] };
  rmSync(file);
  await oci.ok("delete", "--force", "u8");
  assert.not.ok(isAlive(pid));
  assert.not.ok(cgroups.some((directory) => existsSync(directory)));
  assert.equal(oci.leftovers(), []);
});

damaged("of a damaged record the cgroups are believed as long as they can be read", async () => {
  await oci.begin("u9", oci.bundle("sleep 1000"));
  const { pid } = (await oci.state("u9")) as { readonly pid: number };
  const file = join(oci.root, "u9/state.json");
  writeFileSync(file, readFileSync(file, "utf8").replace('"ociVersion":"', '"ociVersion":5,"x":"'));
  assert.match((await oci.run("state", "u9")).stderr, /state\.json is damaged/);
  await oci.ok("delete", "--force", "u9");
  assert.not.ok(isAlive(pid));
  assert.equal(oci.leftovers(), []);
});

damaged("of one with a pid namespace of its own the first process is enough", async () => {
  const { file, whole, pid, cgroups } = await victim("u14");
  writeFileSync(file, changed(whole, { cgroups: 5 }));
  const { status, stderr } = await oci.run("delete", "--force", "u14");
  assert.is(status, 0, stderr);
  assert.match(stderr, /not done: removing its cgroup, which is not told; poststop/);
  assert.not.ok(isAlive(pid));
  for (const directory of cgroups) rmdirSync(directory);
  assert.equal(oci.leftovers(), []);
});

damaged("delete --force fails, and says what to do, as long as processes may be somewhere", async () => {
  const shared = { hostname: "", linux: { namespaces: [{ type: "mount" }] } };
  for (const [id, change, damage] of [
    ["u10", {}, () => ""],
    ["u15", {}, (whole) => changed(whole, { pid: 0, cgroups: 5 })],
    // Its number is another's.
    ["u16", {}, (whole) => changed(whole, { startTime: "1", cgroups: 5 })],
    ["u30", {}, (whole) => changed(whole, { startTime: "1", cgroups: [] })],
    ["u31", {}, (whole) => changed(whole, { startTime: "x", cgroups: [] })],
    ["u17", shared, (whole) => changed(whole, { cgroups: 5 })],
    ["u18", {}, (whole) => changed(whole, { pid: "x", cgroups: [] })],
  ] as readonly [string, Parameters<typeof victim>[1], (whole: string) => string][]) {
    const one = await victim(id, change);
    writeFileSync(one.file, damage(one.whole));
    const { status, stdout, stderr } = await oci.run("delete", "--force", id);
    assert.is(status, 1, id);
    assert.match(
      stdout + stderr,
      new RegExp(
        `${id}: its record is damaged and does not say where its processes are: repeat with --systemd-cgroup .*, then remove ${oci.root}/${id}\n$`,
      ),
    );
    assert.ok(isAlive(one.pid), id);
    await putRight(id, one);
  }
});

damaged("what ended before it was deleted is found to be gone", async () => {
  const { file, whole, pid } = await victim("u19");
  await oci.ok("kill", "u19", "KILL");
  await oci.waitForStatus("u19", "stopped");
  writeFileSync(file, changed(whole, { cgroups: [] }));
  await oci.ok("delete", "--force", "u19");
  assert.not.ok(isAlive(pid));
  for (const directory of (JSON.parse(whole) as Victim).cgroups) rmdirSync(directory);
  assert.equal(oci.leftovers(), []);
});

damaged(
  "one that was cut off before its process was recorded is found by its cgroup, named or not",
  async () => {
    for (const [id, linux] of [
      ["u20", {}],
      ["u21", { cgroupsPath: undefined }],
    ] as const) {
      const { file, whole, pid } = await victim(id, { linux });
      const first = { pid: 0, startTime: "", complete: false, spec: { ociVersion: "1.0.0" } };
      writeFileSync(file, changed(whole, first));
      assert.is((await oci.state(id))["status"], "creating");
      await oci.ok("delete", "--force", id);
      assert.not.ok(isAlive(pid));
      assert.equal(oci.leftovers(), []);
    }
  },
);

damaged("a directory without a record is removed, and it is said what that may mean", async () => {
  const one = await victim("u22");
  rmSync(one.file);
  const { status, stderr } = await oci.run("delete", "--force", "u22");
  assert.is(status, 0);
  assert.match(
    stderr,
    /^tandem-oci: container u22: had no record: its creation was cut off before it had a process, or somebody removed the record; removed \S+\/u22\n$/,
  );
  await putRight("u22", one);
  assert.is((await oci.run("delete", "--force", "u22")).stderr, "", "nothing there is nothing to speak of");
});

damaged("--systemd-cgroup is heard of a damaged record, too", async () => {
  const one = await victim("u23");
  writeFileSync(one.file, "");
  const { status, stderr } = await oci.run("--systemd-cgroup", "delete", "--force", "u23");
  assert.is(status, 1, stderr);
  assert.match(stderr, /systemd does not run on this machine|does not say where its processes are/);
  assert.ok(isAlive(one.pid));
  await putRight("u23", one);
});

damaged("delete --force touches nothing that a damaged record takes for a cgroup", async () => {
  await oci.begin("u11", oci.bundle("sleep 1000"));
  const file = join(oci.root, "u11/state.json");
  const whole = readFileSync(file, "utf8");
  const { pid, cgroups } = JSON.parse(whole) as { readonly pid: number; readonly cgroups: readonly string[] };
  const [cgroup = ""] = cgroups;
  const hierarchy = cgroup.split(oci.cgroup)[0] ?? "";
  for (const path of [
    "/",
    "/tmp",
    "/sys/fs/cgroup",
    hierarchy,
    `${hierarchy}/`,
    `${cgroup}/.`,
    oci.directory,
  ]) {
    writeFileSync(file, JSON.stringify({ id: "u11", cgroups: [path] }));
    const { status, stderr } = await oci.run("delete", "--force", "u11");
    assert.is(status, 1, path);
    assert.match(stderr, /: it is left as it is/, path);
    assert.ok(isAlive(pid), path);
  }
  writeFileSync(file, whole, { mode: 0o600 });
  await oci.ok("delete", "--force", "u11");
  assert.equal(oci.leftovers(), []);
});

damaged.run();
