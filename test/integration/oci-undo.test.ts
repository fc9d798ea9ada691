/** What is left when somebody is killed in the middle: the client, the server, a hook. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { ociBinary } from "../support/household.ts";
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
  // That one kind runs inside.
  const path = kind === "startContainer" ? "/tmp/hook" : mark;
  const script = `cat > ${path}.new; mv ${path}.new ${path}; exec sleep 60`;
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

const meanwhile = "was deleted by another command meanwhile\n";

undo("delete --force of a container that is being made ends that, and comes after it", async () => {
  const { bundle, hookRuns, pid } = slowBundle("createRuntime");
  const output = join(bundle, "output");
  const creating = exitOf(oci.spawn(["create", "--bundle", bundle, "d1"], output));
  await waitFor(hookRuns, 20_000, "the hook");
  const init = pid();
  // What comes meanwhile gets nothing of it either.
  const late = join(bundle, "late");
  const waiting = exitOf(oci.spawn(["start", "d1"], late));
  await oci.ok("delete", "--force", "d1");
  assert.is(await creating, 1);
  assert.is(readFileSync(output, "utf8"), `tandem-oci: container d1: ${meanwhile}`);
  assert.is(await waiting, 1);
  assert.match(readFileSync(late, "utf8"), /container d1: (is creating|was deleted|does not exist)/);
  assert.not.ok(isAlive(init));
  assert.equal(oci.leftovers(), []);
});

for (const kind of ["startContainer", "poststart"]) {
  undo(`delete --force of a container whose ${kind} hook does not end does not wait for it`, async () => {
    const { bundle, hookRuns } = slowBundle(kind);
    const output = join(bundle, "started");
    await oci.create("d2", bundle);
    const { pid } = (await oci.state("d2")) as { readonly pid: number };
    const starting = exitOf(oci.spawn(["start", "d2"], output));
    await waitFor(hookRuns, 20_000, "the hook");
    await oci.ok("delete", "--force", "d2");
    assert.is(await starting, 1);
    assert.match(readFileSync(output, "utf8"), meanwhile);
    assert.not.ok(isAlive(pid));
    assert.equal(oci.leftovers(), []);
  });
}

undo("a hook's own call on its container does not wait for the call that waits for the hook", async () => {
  const bundle = oci.bundle("sleep 1000");
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  const tandem = `${ociBinary} --root ${oci.root}`;
  const log = join(bundle, "hooks");
  const hook = (command: string) => ({
    path: "/bin/sh",
    args: ["sh", "-c", `${tandem} ${command} >>${log} 2>&1; echo $? >>${log}`],
    timeout: 20,
  });
  const hooks = {
    createRuntime: ["start d4", "pause d4", "delete d4", "create d4"].map(hook),
    poststart: ["update --pids-limit 33 d4", "start d4"].map(hook),
    poststop: [hook("delete --force d4")],
  };
  writeFileSync(file, JSON.stringify({ ...config, hooks }));
  await oci.create("d4", bundle);
  await oci.ok("start", "d4");
  await oci.ok("delete", "--force", "d4");
  const lines = readFileSync(log, "utf8").replaceAll("tandem-oci: container d4: ", "").split("\n");
  assert.equal(lines, [
    ...["is creating", "1", "is creating", "1", "is creating; end it first, or delete --force", "1"],
    ...["already exists", "1", "0", "is running", "1", "0", ""],
  ]);
  assert.equal(oci.leftovers(), []);
});

undo("a poststop hook can have the id of what is gone, and keeps it from nobody while it runs", async () => {
  const bundle = oci.bundle("sleep 1000");
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  const next = oci.bundle("sleep 1000");
  const create = `${ociBinary} --root ${oci.root} create --bundle ${next} d6 </dev/null >${next}/log 2>&1`;
  const poststop = [{ path: "/bin/sh", args: ["sh", "-c", create], timeout: 20 }];
  writeFileSync(file, JSON.stringify({ ...config, hooks: { poststop } }));
  await oci.create("d6", bundle);
  await oci.ok("delete", "--force", "d6");
  assert.is(readFileSync(join(next, "log"), "utf8"), "");
  assert.is((await oci.state("d6"))["status"], "created");
  await oci.ok("delete", "--force", "d6");
  assert.equal(oci.leftovers(), []);
});

undo("a container that another has taken the place of is not deleted by the end of its run", async () => {
  const bundle = oci.bundle("while ! [ -e /tmp/go ]; do sleep 0.1; done");
  const client = oci.spawn(["run", "--bundle", bundle, "d3"], join(bundle, "output"));
  const ended = exitOf(client);
  await waitFor(() => existsSync(join(oci.root, "d3/state.json")), 20_000, "d3");
  await oci.waitForStatus("d3", "running");
  // Its end is told to the server later.
  client.kill("SIGSTOP");
  await oci.ok("delete", "--force", "d3");
  await oci.begin("d3", oci.bundle("sleep 1000"));
  client.kill("SIGCONT");
  assert.is(await ended, 137);
  assert.is((await oci.state("d3"))["status"], "running");
  await oci.ok("delete", "--force", "d3");
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
