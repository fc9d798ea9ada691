/** What is left when somebody is killed in the middle: the client, the server, a hook. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { exitOf, OciCommands } from "./oci-commands.ts";

const undo = suite("tandem-oci: killed in the middle");
let oci: OciCommands;

undo.before(() => {
  oci = new OciCommands();
});
undo.after(async () => {
  await oci[Symbol.asyncDispose]();
});

/** A bundle whose hook says that it runs, and then takes its time. */
function slowBundle(kind: string): { readonly bundle: string; hookRuns(): boolean; pid(): number } {
  const bundle = oci.bundle("sleep 1000");
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  const mark = join(bundle, "rootfs/tmp/hook");
  const script = `cat > ${mark}.new; mv ${mark}.new ${mark}; exec sleep 60`;
  const hook = { path: "/bin/sh", args: ["sh", "-c", script] };
  writeFileSync(file, JSON.stringify({ ...config, hooks: { [kind]: [hook] } }));
  return {
    bundle,
    hookRuns: () => existsSync(mark),
    pid: () => (JSON.parse(readFileSync(mark, "utf8")) as { pid: number }).pid,
  };
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/exe`);

for (const signal of ["SIGTERM", "SIGINT", "SIGKILL"] as const) {
  undo(`a client that gets ${signal} in the middle of create leaves nothing`, async () => {
    const { bundle, hookRuns, pid } = slowBundle("createRuntime");
    const client = oci.spawn(["create", "--bundle", bundle, "u1"], join(bundle, "output"));
    await waitFor(hookRuns, 20_000, "the hook");
    assert.is((await oci.state("u1"))["status"], "creating");
    const init = pid();
    assert.ok(isAlive(init));
    client.kill(signal);
    await waitFor(() => oci.leftovers().length === 0, 10_000, "nothing left");
    await waitFor(() => !isAlive(init), 5_000, "the end of its init");
    assert.match((await oci.run("state", "u1")).stderr, /does not exist/);
  });
}

undo(
  "a server that is killed in the middle of create is noticed, and delete --force takes down the rest",
  async () => {
    const { bundle, hookRuns, pid } = slowBundle("createRuntime");
    const output = join(bundle, "output");
    const ended = exitOf(oci.spawn(["create", "--bundle", bundle, "u2"], output));
    await waitFor(hookRuns, 20_000, "the hook");
    const init = pid();
    const { server } = oci.servers() ?? {};
    assert.type(server, "number");
    process.kill(server ?? 0, "SIGKILL");
    assert.is.not(await ended, 0);
    assert.match(readFileSync(output, "utf8"), /the server ended/);
    await waitFor(() => !isAlive(init), 5_000, "the end of its init");
    // Another server answers, and knows what there is.
    assert.is((await oci.state("u2"))["status"], "creating");
    assert.is((await oci.run("start", "u2")).status, 1);
    await oci.ok("delete", "--force", "u2");
    assert.equal(oci.leftovers(), []);
  },
);

undo("a server that is killed between create and start is not missed", async () => {
  const bundle = oci.bundle("echo started; exit 3");
  const output = await oci.create("u3", bundle);
  const { server } = oci.servers() ?? {};
  process.kill(server ?? 0, "SIGKILL");
  assert.is((await oci.state("u3"))["status"], "created");
  await oci.ok("start", "u3");
  await oci.waitForStatus("u3", "stopped");
  assert.is(readFileSync(output, "utf8"), "started\n");
  await oci.ok("delete", "u3");
  assert.equal(oci.leftovers(), []);
});

for (const [name, content] of [
  ["empty", () => ""],
  ["cut off", (whole) => whole.slice(0, whole.length / 2)],
  ["garbage", () => "\xff\x00{]"],
  ["another's", (whole) => whole.replace('"id":"u7"', '"id":"u8"')],
] as readonly [string, (whole: string) => string][]) {
  undo(`a container whose record is ${name} is ended and removed by delete --force alone`, async () => {
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

undo("a container without a record is ended and removed by delete --force", async () => {
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

undo("of a damaged record the cgroups are believed as long as they can be read", async () => {
  await oci.begin("u9", oci.bundle("sleep 1000"));
  const { pid } = (await oci.state("u9")) as { readonly pid: number };
  const file = join(oci.root, "u9/state.json");
  writeFileSync(file, readFileSync(file, "utf8").replace('"ociVersion":"', '"ociVersion":5,"x":"'));
  assert.match((await oci.run("state", "u9")).stderr, /state\.json is damaged/);
  await oci.ok("delete", "--force", "u9");
  assert.not.ok(isAlive(pid));
  assert.equal(oci.leftovers(), []);
});

undo("delete --force says so when it does not find the processes of a damaged container", async () => {
  const bundle = oci.bundle("sleep 1000");
  await oci.begin("u10", bundle);
  const { pid } = (await oci.state("u10")) as { readonly pid: number };
  const file = join(oci.root, "u10/state.json");
  const whole = readFileSync(file, "utf8");
  writeFileSync(file, "");
  const { status, stderr } = await oci.run("delete", "--force", "u10");
  assert.is(status, 0);
  assert.match(stderr, /not done: its processes, which may be in a cgroup that config\.json named; /);
  assert.ok(isAlive(pid));
  // As whoever has read that may do: put right what is left.
  mkdirSync(join(oci.root, "u10"), { mode: 0o700 });
  writeFileSync(file, whole, { mode: 0o600 });
  await oci.ok("delete", "--force", "u10");
  assert.not.ok(isAlive(pid));
  assert.equal(oci.leftovers(), []);
});

undo("delete --force touches nothing that a damaged record takes for a cgroup", async () => {
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

undo("delete leaves another container in a cgroup that both were given", async () => {
  const linux = { cgroupsPath: `${oci.cgroup}/shared` };
  await oci.begin("u12", oci.bundle("true", { linux }));
  await waitFor(async () => (await oci.state("u12"))["status"] === "stopped", 20_000, "the end of u12");
  await oci.begin("u13", oci.bundle("sleep 1000", { linux }));
  const { pid } = (await oci.state("u13")) as { readonly pid: number };
  await oci.ok("delete", "u12");
  assert.match((await oci.run("state", "u12")).stderr, /does not exist/);
  assert.ok(isAlive(pid));
  await oci.ok("delete", "--force", "u13");
  assert.equal(oci.leftovers(), []);
});

undo("a call to a stopped server says so, once, and goes on with it", async () => {
  await oci.create("st1", oci.bundle("true"));
  const { server = 0 } = oci.servers() ?? {};
  const told = `tandem-oci: still waiting for the server, pid ${server} in state T; see docs/debugging.md\n`;
  const deaf = join(oci.directory, "deaf");
  // A hook that takes as long, on a server that goes on with its work, is no reason to say anything.
  const slow = slowBundle("createRuntime");
  const quiet = join(slow.bundle, "output");
  const busy = oci.spawn(["create", "--bundle", slow.bundle, "st2"], quiet);
  await waitFor(slow.hookRuns, 20_000, "the hook");
  await new Promise((resolve) => setTimeout(resolve, 11_000));
  assert.is(readFileSync(quiet, "utf8"), "");
  process.kill(server, "SIGSTOP");
  try {
    const ended = exitOf(oci.spawn(["state", "st1"], deaf));
    await waitFor(() => readFileSync(deaf, "utf8") !== "", 20_000, "a word to whom is not read");
    await waitFor(() => readFileSync(quiet, "utf8") !== "", 20_000, "a word to whom is not answered");
    assert.is(readFileSync(quiet, "utf8"), told);
    process.kill(server, "SIGCONT");
    assert.is(await ended, 0);
    const output = readFileSync(deaf, "utf8");
    assert.ok(output.startsWith(told) && output.split("still waiting").length === 2, output);
    assert.match(output.slice(told.length), /"status": ?"created"/);
  } finally {
    process.kill(server, "SIGCONT");
  }
  busy.kill("SIGKILL");
  await oci.ok("delete", "st1");
  await waitFor(() => oci.leftovers().length === 0, 10_000, "nothing left");
});

undo("run whose client is killed leaves a container that can be asked after and deleted", async () => {
  const bundle = oci.bundle("echo up; sleep 1000");
  const output = join(bundle, "output");
  const client = oci.spawn(["run", "--bundle", bundle, "u4"], output);
  await waitFor(() => readFileSync(output, "utf8") === "up\n", 20_000, "the program");
  // The program does not wait for its record: with the client gone before that, nothing of it would stay.
  await oci.waitForStatus("u4", "running");
  client.kill("SIGKILL");
  await waitFor(() => client.signalCode !== null, 5_000, "the client's end");
  assert.is((await oci.state("u4"))["status"], "running");
  await oci.ok("delete", "--force", "u4");
  assert.equal(oci.leftovers(), []);
});

undo("a create that fails leaves nothing, and its id is free", async () => {
  const bundle = oci.bundle("true", {
    mounts: [{ destination: "/x", type: "nonsense", source: "none" }],
  } as never);
  const { status, stderr } = await oci.run("create", "--bundle", bundle, "u5");
  assert.is(status, 1);
  assert.match(stderr, /mounts\[0\]/);
  assert.equal(oci.leftovers(), []);
  await oci.create("u5", oci.bundle("true"));
  await oci.ok("delete", "u5");
});

undo("of two that create the same id at once one succeeds, and its container is whole", async () => {
  const bundles = [oci.bundle("exit 7"), oci.bundle("exit 7")];
  const outputs = bundles.map((bundle) => join(bundle, "output"));
  const codes = await Promise.all(
    bundles.map((bundle, index) =>
      exitOf(oci.spawn(["create", "--bundle", bundle, "u6"], outputs[index] ?? "")),
    ),
  );
  assert.equal([...codes].sort(), [0, 1]);
  assert.match(readFileSync(outputs[codes.indexOf(1)] ?? "", "utf8"), /container u6: already exists/);
  await oci.ok("start", "u6");
  await oci.waitForStatus("u6", "stopped");
  await oci.ok("delete", "u6");
  assert.equal(oci.leftovers(), []);
});

undo("thirty at once do not get in each other's way", async () => {
  const ids = Array.from({ length: 30 }, (_, index) => `many${index}`);
  const results = await Promise.all(
    ids.map((id, index) => oci.run("run", "--bundle", oci.bundle(`echo ${id}; exit ${index}`), id)),
  );
  assert.equal(
    results.map(({ status, stdout }) => `${stdout.trim()} ${status}`),
    ids.map((id, index) => `${id} ${index}`),
  );
  assert.equal(oci.leftovers(), []);
});

undo.run();
