import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { helperPath, isOwnId } from "../../src/executor/map-ids.ts";
import { userNamespaceError } from "../../src/isolation/user-namespace.ts";
import { toRights } from "../../src/rights.ts";
import { rejects } from "../support/rejects.ts";

const maps = suite("maps of a user namespace");

maps("one's own id needs no helper, and nothing else goes without", () => {
  assert.ok(isOwnId("0 1000 1\n", 1000));
  assert.ok(isOwnId("1000 1000 1\n", 1000));
  for (const map of ["0 1000 2\n", "0 1001 1\n", "0 1000 1\n1 100000 65536\n", "0 10001 1\n", ""])
    assert.not.ok(isOwnId(map, 1000), map);
});

maps("a helper that is missing, or that others can change, is not run", async () => {
  const directory = mkdtempSync("/tmp/tandem-helper-");
  try {
    const find = (): string => helperPath("uid", "linux.uidMappings", directory);
    await rejects(
      find,
      "failed_precondition",
      /^linux.uidMappings: ranges need .*newuidmap, which is not installed/,
    );
    const path = join(directory, "newuidmap");
    writeFileSync(path, "");
    chmodSync(path, 0o4777);
    await rejects(find, "failed_precondition", /is not root's alone/);
    if (process.geteuid?.() !== 0) return;
    chmodSync(path, 0o4755);
    assert.is(find(), path);
    chownSync(path, 1000, 0);
    await rejects(find, "failed_precondition", /is not root's alone/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

maps("root of a user namespace is not the machine's", () => {
  assert.equal(toRights(0, "         0          0 4294967295\n"), { root: true, machineRoot: true });
  assert.equal(toRights(0, "         0       1001          1\n"), { root: true, machineRoot: false });
  assert.equal(toRights(0, "0 0 65536\n65536 100000 10\n"), { root: true, machineRoot: false });
  assert.equal(toRights(1000, "         0          0 4294967295\n"), { root: false, machineRoot: false });
});

maps("an error that is no refusal is told as it is", () => {
  const error = userNamespaceError(Object.assign(new Error("clone3: EINVAL"), { code: "EINVAL" }), "linux.x");
  assert.is(error.message, "linux.x: clone3: EINVAL");
});

maps.run();
