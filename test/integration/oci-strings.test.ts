/** The words by which callers (podman, CRI-O, Docker, containerd's runc shim) tell errors apart. */
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { OciCommands } from "./oci-commands.ts";

const words = suite("tandem-oci: words that callers look for");
let oci: OciCommands;

words.before(() => {
  oci = new OciCommands();
});
words.after(async () => {
  await oci[Symbol.asyncDispose]();
});

words("does not exist: a container that nobody created", async () => {
  for (const args of [
    ["state"],
    ["start"],
    ["kill"],
    ["pause"],
    ["resume"],
    ["delete"],
    ["ps"],
    ["events"],
    ["update", "--pids-limit=5"],
  ]) {
    const { status, stderr } = await oci.run(...args, "none");
    assert.is(status, 1, args.join(" "));
    assert.match(stderr, /container none: does not exist/, args.join(" "));
  }
  const exec = await oci.run("exec", "none", "true");
  assert.is(exec.status, 255);
  assert.match(exec.stderr, /does not exist/);
  assert.is((await oci.run("delete", "--force", "none")).status, 0);
});

words("container not running: one that has ended", async () => {
  await oci.begin("w1", oci.bundle("true"));
  await oci.waitForStatus("w1", "stopped");
  assert.is((await oci.state("w1"))["pid"], 0);
  for (const args of [
    ["kill", "w1"],
    ["kill", "--all", "w1", "KILL"],
    ["exec", "w1", "true"],
    ["pause", "w1"],
    ["update", "--pids-limit=5", "w1"],
  ])
    assert.match((await oci.run(...args)).stderr, /container not running/, args.join(" "));
  await oci.ok("delete", "w1");
});

words("executable file not found: a program that is in no directory of PATH", async () => {
  const bundle = oci.bundle("", { process: { args: ["nonesuch"] } });
  const create = await oci.run("run", "--bundle", bundle, "w2");
  assert.is(create.status, 1);
  assert.match(create.stderr, /executable file not found/);
  assert.equal(oci.leftovers(), []);
  await oci.begin("w2", oci.bundle("sleep 1000"));
  const file = join(oci.directory, "pid");
  const exec = await oci.run("exec", "--detach", "--pid-file", file, "w2", "nonesuch");
  assert.is(exec.status, 255);
  assert.match(exec.stderr, /executable file not found/);
  assert.not.ok(existsSync(file), "no pid of a process that never was");
  await oci.ok("delete", "-f", "w2");
});

words("no such file or directory, permission denied: a path that cannot be executed", async () => {
  const bundle = oci.bundle("sleep 1000");
  writeFileSync(join(bundle, "rootfs/bin/plain"), "#!/bin/sh\n");
  chmodSync(join(bundle, "rootfs/bin/plain"), 0o644);
  await oci.begin("w3", bundle);
  assert.match((await oci.run("exec", "w3", "/bin/nonesuch")).stderr, /no such file or directory/i);
  assert.match((await oci.run("exec", "w3", "/bin/plain")).stderr, /permission denied/i);
  await oci.ok("delete", "-f", "w3");
});

words("a running container is not deleted, a created one is", async () => {
  await oci.begin("w4", oci.bundle("sleep 1000"));
  const { status, stderr } = await oci.run("delete", "w4");
  assert.is(status, 1);
  assert.match(stderr, /container w4: is running/);
  await oci.ok("delete", "-f", "w4");
  await oci.create("w4", oci.bundle("true"));
  await oci.ok("delete", "w4");
  assert.equal(oci.leftovers(), []);
});

words("version: name, commit and specification, a line each", async () => {
  for (const flag of ["--version", "-v"])
    assert.match(await oci.ok(flag), /^tandem-oci version \S+\ncommit: \S+\nspec: 1\.3\.0\n$/);
});

words("features: JSON on stdout and nothing on stderr", async () => {
  const { stdout, stderr } = await oci.run("features");
  assert.is(stderr, "");
  const document = JSON.parse(stdout) as Record<string, unknown>;
  assert.is(document["ociVersionMin"], "1.0.0");
  assert.is(document["ociVersionMax"], "1.3.0");
});

words.run();
