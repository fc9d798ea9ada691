import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Installation } from "./installation.ts";

const info = suite<{ tandem: Installation }>("launcher -info and -v");

info.before.each((context) => {
  context.tandem = new Installation();
});
info.after.each((context) => context.tandem.dispose());

/** The length-delimited fields of a protobuf message. */
function fieldsOf(message: Buffer): Map<number, Buffer> {
  const fields = new Map<number, Buffer>();
  for (let at = 0; at < message.length; ) {
    const tag = message[at++] ?? 0;
    assert.is(tag & 7, 2);
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] ?? 0;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    fields.set(tag >> 3, message.subarray(at, at + length));
    at += length;
  }
  return fields;
}

function runInfo(tandem: Installation): Buffer {
  const result = spawnSync(tandem.launcher, ["-info"], {
    cwd: "/",
    env: { TANDEM_RUN_DIR: tandem.runDirectory },
  });
  assert.is(result.status, 0);
  assert.is(result.stderr.length, 0);
  return result.stdout;
}

info("is a RuntimeInfo with name, version and the features of the installation", ({ tandem }) => {
  const features = JSON.stringify({ ociVersionMax: "1.3.0", padding: "x".repeat(300) });
  writeFileSync(join(tandem.directory, "lib/tandem/features.json"), features);
  const fields = fieldsOf(runInfo(tandem));
  assert.is(fields.get(1)?.toString(), "io.containerd.tandem.v1");
  const version = fieldsOf(fields.get(2) ?? Buffer.alloc(0));
  assert.match(version.get(1)?.toString() ?? "", /^\d+\.\d+\.\d+/);
  assert.is(version.get(2)?.toString(), "0011223344556677");
  const any = fieldsOf(fields.get(4) ?? Buffer.alloc(0));
  assert.is(any.get(1)?.toString(), "types.containerd.io/opencontainers/runtime-spec/1/features/Features");
  assert.is(any.get(2)?.toString(), features);
});

info("leaves the features out when the installation has none, and touches no socket", ({ tandem }) => {
  assert.not.ok(fieldsOf(runInfo(tandem)).has(4));
  assert.not.ok(existsSync(tandem.runDirectory));
});

info("prints the version for -v, --v and --version", async ({ tandem }) => {
  for (const flag of ["-v", "--v", "--version", "-version"]) {
    const result = await tandem.run([flag]);
    assert.is(result.status, 0);
    assert.match(
      result.stdout,
      /containerd-shim-tandem-v1\n {2}version: \d+\.\d+\.\d+\n {2}build: 0011223344556677\n/,
    );
  }
  assert.not.ok(existsSync(tandem.runDirectory));
});

info.run();
