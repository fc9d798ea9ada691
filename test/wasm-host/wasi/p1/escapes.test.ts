import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fileRights, Guest, O_PATH, Sandbox } from "./guest.ts";

const PERM = 63;
const LOOP = 32;
const FOLLOW = 1;
const test = suite("wasi p1 sandbox");

/** root/ is the guest's; outside/secret must stay out of its reach. */
function fixture(): Sandbox {
  const sandbox = new Sandbox();
  mkdirSync(join(sandbox.path, "root/sub/deep"), { recursive: true });
  mkdirSync(join(sandbox.path, "outside"));
  writeFileSync(join(sandbox.path, "outside/secret"), "secret");
  writeFileSync(join(sandbox.path, "root/inside"), "inside");
  symlinkSync("../outside/secret", join(sandbox.path, "root/to-file"));
  symlinkSync("../outside", join(sandbox.path, "root/to-directory"));
  symlinkSync(join(sandbox.path, "outside/secret"), join(sandbox.path, "root/absolute"));
  symlinkSync("/", join(sandbox.path, "root/to-root"));
  symlinkSync("../../inside", join(sandbox.path, "root/sub/deep/fine"));
  return sandbox;
}

const outside = [
  "..",
  "../",
  "../outside",
  "../outside/secret",
  "sub/../../outside/secret",
  "sub/deep/../../../outside/secret",
  "/",
  "/etc/passwd",
  "to-directory/secret",
  "to-directory/../outside/secret",
  "to-root/etc/passwd",
  "to-file/",
  "to-directory/.",
];
const symlinks = ["to-file", "to-directory", "absolute", "to-root"];

test("no path out of the directory can be opened", () => {
  using sandbox = fixture();
  const guest = sandbox.guest("root");
  for (const path of [...outside, ...symlinks]) {
    assert.is(guest.open(path, { follow: FOLLOW, base: fileRights.read })[0], PERM, path);
  }
  for (const path of symlinks) assert.is(guest.open(path, { base: fileRights.read })[0], LOOP, path);
});

test("no path out of the directory can be asked about", () => {
  using sandbox = fixture();
  const guest = sandbox.guest("root");
  for (const path of [...outside, ...symlinks]) {
    const result = guest.alloc(64);
    assert.is(guest.call("path_filestat_get", 3, FOLLOW, ...guest.text(path), result), PERM, path);
    const buffer = guest.alloc(64);
    if (!symlinks.includes(path)) {
      assert.is(guest.call("path_readlink", 3, ...guest.text(path), buffer, 64, result), PERM, path);
    }
  }
});

test("no path out of the directory can be changed", () => {
  using sandbox = fixture();
  const guest = sandbox.guest("root");
  const before = statSync(join(sandbox.path, "outside")).mtimeMs;
  for (const path of outside) {
    const [at, length] = guest.text(path);
    const inside = guest.text("inside");
    const denied = {
      create: guest.open(path, { oflags: 1 })[0],
      truncate: guest.open(path, { oflags: 8 })[0],
      mkdir: guest.call("path_create_directory", 3, at, length),
      rmdir: guest.call("path_remove_directory", 3, at, length),
      unlink: guest.call("path_unlink_file", 3, at, length),
      symlink: guest.call("path_symlink", ...guest.text("x"), 3, at, length),
      linkFrom: guest.call("path_link", 3, 0, at, length, 3, ...guest.text("taken")),
      linkTo: guest.call("path_link", 3, 0, ...inside, 3, at, length),
      renameFrom: guest.call("path_rename", 3, at, length, 3, ...guest.text("taken")),
      renameTo: guest.call("path_rename", 3, ...inside, 3, at, length),
      times: guest.call("path_filestat_set_times", 3, FOLLOW, at, length, 1n, 1n, 5),
    };
    // "to-file/" is an entry of the directory itself, which is no directory and nothing else either.
    const entry = path === "to-file/" || path === "to-directory/.";
    for (const [name, error] of Object.entries(denied)) {
      if (entry) assert.not.equal(error, 0, `${name} ${path}`);
      else assert.is(error, PERM, `${name} ${path}`);
    }
  }
  assert.is(readFileSync(join(sandbox.path, "outside/secret"), "utf8"), "secret");
  assert.is(statSync(join(sandbox.path, "outside")).mtimeMs, before);
  assert.ok(existsSync(join(sandbox.path, "root/inside")));
});

test("times of a symlink change on the symlink, not on what it leads to", () => {
  using sandbox = fixture();
  const guest = sandbox.guest("root");
  assert.is(guest.call("path_filestat_set_times", 3, 0, ...guest.text("to-file"), 1n, 1_000_000_000n, 5), 0);
  assert.is(lstatSync(join(sandbox.path, "root/to-file")).mtimeMs, 1000);
  assert.not.equal(statSync(join(sandbox.path, "outside/secret")).mtimeMs, 1000);
});

test("a symlink with .. that stays inside works", () => {
  using sandbox = fixture();
  const guest = sandbox.guest("root");
  const [error, fd] = guest.open("sub/deep/fine", { follow: FOLLOW, base: fileRights.read });
  assert.is(error, 0);
  assert.equal(guest.read(fd), [0, "inside"]);
});

test("a symlink to an absolute path cannot be made", () => {
  using sandbox = fixture();
  const guest = sandbox.guest("root");
  assert.is(guest.call("path_symlink", ...guest.text("/etc"), 3, ...guest.text("new")), PERM);
});

test("magic links of /proc lead nowhere", () => {
  const fd = openSync("/proc/self", O_PATH);
  try {
    const guest = new Guest({ grant: { preopens: [{ fd, guestPath: "/", readonly: true }] } });
    const base = fileRights.read;
    assert.is(guest.open("root/etc/passwd", { follow: FOLLOW, base })[0], LOOP);
    for (const path of ["exe", "cwd", "root"])
      assert.is(guest.open(path, { follow: FOLLOW, base })[0], LOOP, path);
    assert.is(guest.open("status", { follow: FOLLOW, base })[0], 0);
  } finally {
    closeSync(fd);
  }
});

test("a directory swapped for a symlink by another process never lets the guest out", async () => {
  using sandbox = fixture();
  mkdirSync(join(sandbox.path, "root/swap"));
  writeFileSync(join(sandbox.path, "root/swap/secret"), "public");
  symlinkSync("../outside", join(sandbox.path, "root/link"));
  const renamer = `
    const { renameSync } = require("node:fs");
    process.stdout.write("go");
    for (;;) { renameSync("swap", "kept"); renameSync("link", "swap"); renameSync("swap", "link"); renameSync("kept", "swap"); }`;
  const child = spawn(process.execPath, ["-e", renamer], { cwd: join(sandbox.path, "root") });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  try {
    const guest = sandbox.guest("root");
    const outcomes = new Map<string, number>();
    const deadline = Date.now() + 20_000;
    const enough = () => (outcomes.get("public") ?? 0) > 50 && outcomes.size > 1;
    for (let round = 0; round < 4000 || (!enough() && Date.now() < deadline); round++) {
      const [error, fd] = guest.open("swap/secret", { follow: FOLLOW, base: fileRights.read });
      const outcome = error === 0 ? guest.read(fd)[1] : String(error);
      if (error === 0) guest.call("fd_close", fd);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      const stat = guest.alloc(64);
      guest.call("path_filestat_get", 3, FOLLOW, ...guest.text("swap/secret"), stat);
    }
    assert.ok((outcomes.get("public") ?? 0) > 0, "the race was run");
    for (const outcome of outcomes.keys()) assert.ok(["public", "44", "63"].includes(outcome), outcome);
  } finally {
    child.kill("SIGKILL");
    await gone;
  }
});

test("a read-only preopen refuses every change, in directories beneath it too", () => {
  using sandbox = fixture();
  const guest = sandbox.guest("root", { readonly: true });
  const ROFS = 69;
  assert.is(guest.open("inside", { base: fileRights.read })[0], 0);
  assert.is(guest.open("inside", { base: fileRights.read | fileRights.write })[0], ROFS);
  assert.is(guest.open("new", { oflags: 1, base: fileRights.read })[0], ROFS);
  assert.is(guest.call("path_unlink_file", 3, ...guest.text("inside")), ROFS);
  assert.is(guest.call("path_rename", 3, ...guest.text("inside"), 3, ...guest.text("b")), ROFS);
  const [, sub] = guest.open("sub", { oflags: 2, base: (1n << 9n) | (1n << 13n) });
  assert.is(guest.call("path_create_directory", sub, ...guest.text("new")), ROFS);
  renameSync(join(sandbox.path, "root/inside"), join(sandbox.path, "root/still-here"));
});

test.run();
