import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { digestOf, mediaTypes } from "oras-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hostPlatform } from "../../examples/built-image.ts";
import { build } from "../../examples/hello-linux/build.ts";
import { build as buildPause } from "../../examples/pause/build.ts";
import { bytesOf, manifestOf, membersOf, type TarMember } from "./contents.ts";
import { runProgram, startProgram } from "./run-node.ts";

const linux = suite<{ directory: string; members: ReadonlyMap<string, TarMember> }>("example hello-linux");

linux.before(async (context) => {
  const { packed } = await build();
  context.directory = await mkdtemp(join(tmpdir(), "tandem-linux-"));
  context.members = await membersOf(await bytesOf(packed, manifestOf(packed).layers[0]));
  for (const [path, { type, target, bytes, mode }] of context.members) {
    const whole = join(context.directory, path);
    await mkdir(dirname(whole), { recursive: true });
    if (type === "file") await writeFile(whole, bytes, { mode });
    if (type === "symlink") await symlink(target ?? "", whole);
  }
});
linux.after(async (context) => {
  await rm(context.directory, { recursive: true, force: true });
});

linux("is an ordinary image for this machine's platform", async () => {
  const { packed } = await build();
  const manifest = manifestOf(packed);
  assert.is(manifest.config.mediaType, mediaTypes.ociConfig);
  const config = JSON.parse((await bytesOf(packed, manifest.config)).toString());
  assert.is(config.os, "linux");
  assert.is(config.architecture, hostPlatform.architecture);
  assert.equal(config.config.Cmd, ["/bin/hello"]);
  assert.is(config.rootfs.diff_ids.length, 1);
  assert.is.not(
    config.rootfs.diff_ids[0],
    manifest.layers[0]?.digest,
    "the diff id is that of the tar, not of its gzip",
  );
});

linux("has busybox, its applets, and every directory before what is in it", async ({ members }) => {
  assert.equal([...(members.get("bin/busybox")?.bytes.subarray(0, 4) ?? [])], [0x7f, 0x45, 0x4c, 0x46]);
  for (const applet of ["sh", "wget", "httpd", "sleep", "env"]) {
    assert.is(members.get(`bin/${applet}`)?.target, "busybox", applet);
  }
  const paths = [...members.keys()];
  assert.ok(paths.indexOf("bin") < paths.indexOf("bin/sh"));
  assert.is(members.get("tmp")?.mode, 0o1777);
});

linux("says hello with its arguments and environment", async ({ directory }) => {
  const hello = [join(directory, "bin", "hello"), "a", "b c"];
  const { status, stdout, stderr } = await runProgram(join(directory, "bin", "sh"), hello);
  assert.is(status, 0, stderr);
  const lines = stdout.split("\n");
  assert.is(lines[0], "hello from linux");
  assert.ok(lines.includes("arg b c"));
  assert.ok(lines.some((line) => line.startsWith("env PATH=")));
});

linux("pause waits until it is told to stop", async ({ directory }) => {
  const { packed } = await buildPause();
  const members = await membersOf(await bytesOf(packed, manifestOf(packed).layers[0]));
  const program = join(directory, "pause");
  const member = members.get("pause");
  if (member === undefined) throw new Error("no /pause in the image");
  await writeFile(program, member.bytes, { mode: member.mode });
  const pause = startProgram(program, []);
  await pause.asleep();
  pause.kill("SIGTERM");
  assert.equal(await pause.ended, { status: 0, signal: null });
});

linux("building again gives the same digest", async () => {
  const [first, second] = [await build(), await build()];
  assert.is(digestOf(first.packed.manifest.bytes), digestOf(second.packed.manifest.bytes));
});

linux.run();
