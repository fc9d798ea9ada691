import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeMountPoint, resolveInside } from "../../src/criu/inside.ts";

const inside = suite("paths in a root that nobody runs in");
let outside: string;
let root: string;

inside.before.each(() => {
  outside = mkdtempSync("/tmp/tandem-inside-");
  root = join(outside, "root");
  mkdirSync(join(root, "run/secrets"), { recursive: true });
  mkdirSync(join(root, "var"));
  symlinkSync("/run", join(root, "var/run"));
  symlinkSync("../../../..", join(root, "up"));
});
inside.after.each(() => rmSync(outside, { recursive: true }));

inside("links are followed as the container would, and never out of it", () => {
  assert.is(resolveInside(root, "/var/run/secrets/token"), "/run/secrets/token");
  assert.is(resolveInside(root, "/up/etc"), "/etc");
  assert.is(resolveInside(root, "/../../x/./y/"), "/x/y");
  symlinkSync("b", join(root, "a"));
  symlinkSync("a", join(root, "b"));
  assert.throws(() => resolveInside(root, "/a"), /too many links/);
});

inside("a mount point is made inside: a directory for a directory, a file for anything else", () => {
  makeMountPoint(root, "/var/run/new/directory", "/");
  assert.ok(statSync(join(root, "run/new/directory")).isDirectory());
  makeMountPoint(root, "/up/etc/resolv.conf", "/dev/null");
  assert.ok(statSync(join(root, "etc/resolv.conf")).isFile());
  makeMountPoint(root, "/run/secrets", "/dev/null");
  assert.ok(statSync(join(root, "run/secrets")).isDirectory(), "what is there stays");
  assert.equal(readdirSync(outside), ["root"]);
});

inside.run();
