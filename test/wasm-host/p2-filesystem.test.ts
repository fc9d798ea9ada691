import { closeSync, constants, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadComponent } from "../../wasm-host/component.ts";
import { buildGuest, createScratch, grantOf, Stdio, transpileGuest } from "./guests/guest.ts";

const scratch = createScratch();
const files = await transpileGuest(buildGuest("command", scratch), scratch);
const test = suite("p2-filesystem");

/** Runs the guest with a fresh directory at /data. */
async function run(
  args: readonly string[],
  options: { readonly readonly?: boolean; readonly prepare?: (dir: string) => void } = {},
): Promise<{ out: string; dir: string }> {
  const stdio = new Stdio(scratch);
  const dir = join(scratch, `data-${performance.now()}`);
  mkdirSync(dir);
  options.prepare?.(dir);
  const fd = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  const preopens = [{ fd, guestPath: "/data", readonly: options.readonly === true }];
  assert.is(
    await loadComponent({ files, grant: { ...grantOf(["guest", ...args], stdio), preopens } }).run(),
    0,
  );
  stdio.close();
  closeSync(fd);
  return { out: stdio.out, dir };
}

test("A guest works with files below its preopen", async () => {
  const { out, dir } = await run(["files"]);
  const expected = [
    "mkdir 0",
    "open 1",
    "stat 0 size 7 directory 0",
    "rename 0",
    "read content",
    "symlink 0",
    "readlink 1 b",
    "entries 2",
    "append 1",
    "unlink 0 rmdir -1",
  ];
  assert.equal(out.trim().split("\n"), expected);
  assert.is(readFileSync(join(dir, "dir/b"), "utf8"), "content+more");
});

test("A file of the preopen can be read, one that only a link out of it reaches cannot", async () => {
  const prepare = (dir: string): void => {
    writeFileSync(join(dir, "inside"), "");
    symlinkSync("/etc/passwd", join(dir, "absolute"));
    symlinkSync("../../../../../../etc/passwd", join(dir, "relative"));
    symlinkSync("inside", join(dir, "good"));
  };
  assert.is((await run(["open", "/data/inside"], { prepare })).out, "opened\n");
  assert.is((await run(["open", "/data/good"], { prepare })).out, "opened\n");
  for (const path of ["/data/absolute", "/data/relative", "/data/../../../../etc/passwd", "/etc/passwd"]) {
    assert.is((await run(["open", path], { prepare })).out, "refused\n", path);
  }
});

test("A read-only preopen is not written to, and its files are read", async () => {
  const prepare = (dir: string): void => writeFileSync(join(dir, "file"), "as it was");
  const { out, dir } = await run(["create", "/data/new"], { readonly: true, prepare });
  assert.match(out, /^0 /);
  assert.match((await run(["create", "/data/file"], { readonly: true, prepare })).out, /^0 /);
  assert.is((await run(["open", "/data/file"], { readonly: true, prepare })).out, "opened\n");
  assert.is(readFileSync(join(dir, "file"), "utf8"), "as it was");
});

test.run();
