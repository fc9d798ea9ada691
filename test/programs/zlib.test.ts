/** A library in C with its own programs, from Debian's source. */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeZlib } from "../../scripts/programs/zlib.ts";
import { GuestRuns } from "./guest-runs.ts";

const test = suite("zlib");
const guests = new GuestRuns();
test.after(() => guests[Symbol.dispose]());

test("its own test of all that it does, on files too", async () => {
  const { status, stdout, stderr } = await guests.runAsWasmtime(await makeZlib("example"), ["/work/made.gz"]);
  assert.is(stderr, "");
  assert.is(status, 0);
  assert.match(stdout, /^zlib version 1\.2\.13 = /);
  assert.match(stdout, /\ngzread\(\): hello, hello!\n/);
  assert.match(stdout, /\ninflate with dictionary: hello, hello!\n$/);
});

test("minigzip packs and unpacks 20 MB, as files and from a pipe to a pipe", async () => {
  const minigzip = await makeZlib("minigzip");
  const bytes = Buffer.concat([
    randomBytes(4 << 20),
    Buffer.alloc(12 << 20, "text that comes again. "),
    randomBytes(4 << 20),
  ]);
  const file = join(guests.work, "file");
  writeFileSync(file, bytes);
  assert.is((await guests.run(minigzip, ["-9", "/work/file"])).status, 0);
  const packed = readFileSync(`${file}.gz`);
  assert.ok(packed.length < 9 << 20 && gunzipSync(packed).equals(bytes));
  assert.is((await guests.run(minigzip, ["-d", "/work/file.gz"])).status, 0);
  assert.ok(readFileSync(file).equals(bytes));
  const piped = await guests.run(minigzip, [], { input: bytes, encoding: "latin1" });
  assert.is(piped.status, 0, piped.stderr);
  assert.ok(gunzipSync(Buffer.from(piped.stdout, "latin1")).equals(bytes));
  const unpacked = await guests.run(minigzip, ["-d"], { input: gzipSync(bytes), encoding: "latin1" });
  assert.ok(Buffer.from(unpacked.stdout, "latin1").equals(bytes));
});

test.run();
