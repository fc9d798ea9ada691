import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writeStateFile } from "../../src/bundle/state-file.ts";

const state = suite("tandem.state");
const bundle = mkdtempSync(join(tmpdir(), "tandem-state-file-"));
state.after(() => rmSync(bundle, { recursive: true }));
const fine = {
  cgroups: ["/sys/fs/cgroup/pids/a"],
  mounts: [`${bundle}/rootfs`],
  socket: "/run/tandem/s/a",
  poststop: [],
};

state("a path with a line break cannot add a fact to it", () => {
  for (const forged of [
    { cgroups: ["/sys/fs/cgroup/a\ncgroup /sys/fs/cgroup/machine"] },
    { mounts: [`${bundle}/rootfs\npoststop 00`] },
    { socket: "/run/tandem/s/a\npid 1 1" },
  ]) {
    assert.throws(() => writeStateFile(bundle, { ...fine, ...forged }), /line break/);
    assert.not(existsSync(join(bundle, "tandem.state")));
  }
});

state("a hook cannot either, and nobody else may write or read it", () => {
  const hook = { path: "/bin/true", args: ["a\nmount /etc"], env: ["A=\npid 1 1"], timeout: 1 };
  writeStateFile(bundle, { ...fine, poststop: [hook] });
  const lines = readFileSync(join(bundle, "tandem.state"), "utf8").trim().split("\n");
  assert.equal(
    lines.map((line) => line.split(" ")[0]),
    ["socket", "cgroup", "mount", "poststop"],
  );
  assert.is(statSync(join(bundle, "tandem.state")).mode & 0o777, 0o600);
});

state.run();
