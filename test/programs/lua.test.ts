/** Lua 5.4 from Debian's source; its errors are thrown and caught as WebAssembly exceptions. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ownFile } from "../../scripts/programs/compile.ts";
import { makeLua } from "../../scripts/programs/lua.ts";
import { GuestRuns } from "./guest-runs.ts";

const test = suite("Lua 5.4");
const program = await makeLua();
const guests = new GuestRuns();

test.after(() => guests[Symbol.dispose]());

async function script(name: string, flags: readonly string[] = [], input?: string): Promise<string> {
  const granted = guests.withWork("--dir", `${ownFile("lua/scripts")}::/scripts::ro`, ...flags);
  const options = { flags: granted, ...(input === undefined ? {} : { input }) };
  const { status, stdout, stderr } = await guests.run(program, [`/scripts/${name}.lua`], options);
  assert.is(status, 0, stderr);
  assert.is(stdout, "ok\n");
  return stderr;
}

test("errors are thrown and caught at any depth, through C and Lua, too deep recursion among them", async () => {
  await script("errors");
});

test("coroutines yield across calls, and end by their errors alone", async () => {
  await script("coroutines");
});

test("garbage is collected, finalizers run, a string has 64 MB", async () => {
  await script("memory");
});

test("strings, patterns, numbers and compiled chunks", async () => {
  await script("strings");
});

test("files, environment, time and standard input", async () => {
  assert.is(await script("files", ["--env", "NAME=value"], "12 rest\n"), "to stderr\n");
});

test("an uncaught error is a traceback on stderr and status 1, os.exit any other", async () => {
  const failed = await guests.run(program, ["-e", "local function f() error('uncaught') end f()"]);
  assert.is(failed.status, 1);
  assert.match(failed.stderr, /uncaught\nstack traceback:/);
  assert.is((await guests.run(program, ["-e", "os.exit(42)"])).status, 42);
  assert.is((await guests.run(program, ["-"], { input: "print(1 + 1)" })).stdout, "2\n");
});

test.run();
