/** CPython 3.12 as npm has it: one module with the whole library inside, SQLite, zlib and Expat among it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ownFile } from "../../scripts/programs/compile.ts";
import { pythonProgram } from "../../scripts/programs/python.ts";
import { GuestRuns } from "./guest-runs.ts";

const test = suite("CPython 3.12");
const program = pythonProgram();
const guests = new GuestRuns();
const flags = guests.withWork("--dir", `${ownFile("python/scripts")}::/scripts::ro`, "--env", "NAME=value");

test.after(() => guests[Symbol.dispose]());

async function script(name: string): Promise<string> {
  const { status, stdout, stderr } = await guests.runAsWasmtime(program, [`/scripts/${name}.py`], { flags });
  assert.is(status, 0, stderr);
  return stdout;
}

test("files, links, directories, times, archives, and nothing beside what is granted", async () => {
  assert.is(await script("files"), "ok\n");
  const wrote = await guests.run(program, ["-c", "open('/scripts/new', 'w')"], { flags });
  assert.match(wrote.stderr, /OSError: \[Errno 69\] Read-only file system: '\/scripts\/new'\n$/);
});

test("numbers, text, compression, hashes, XML, JSON, SQLite", async () => {
  const lines = (await script("data")).trimEnd().split("\n");
  assert.is(lines.length, 17);
  assert.is(lines.at(-1), "sqlite (20000, 2666466670000, 9) ('ok',)");
});

test("recursion without end is an exception, and the interpreter goes on", async () => {
  const lines = ["calls RecursionError", "json RecursionError", "parser MemoryError"];
  assert.is(await script("deep"), `${[...lines, "regular expression done", "3000 calls done"].join("\n")}\n`);
});

test("arguments, environment, standard input, an uncaught exception and exit codes", async () => {
  const seen = await guests.runAsWasmtime(
    program,
    ["-c", "import os, sys; print(sys.argv, os.environ.get('NAME'), len(sys.stdin.read()))", "a", "b c"],
    { flags, input: "x".repeat(100_000) },
  );
  assert.is(seen.stdout, "['-c', 'a', 'b c'] value 100000\n");
  const raised = await guests.runAsWasmtime(program, ["-c", "import json\njson.loads('{')"], { flags });
  assert.is(raised.status, 1);
  assert.match(raised.stderr, /json\.decoder\.JSONDecodeError: Expecting property name/);
  assert.is((await guests.runAsWasmtime(program, ["-c", "raise SystemExit(42)"], { flags })).status, 42);
});

test("sleeps as long as it says, by a clock that only goes forward", async () => {
  const source =
    "import time\na = time.monotonic(); time.sleep(0.25); b = time.monotonic(); print(0.25 <= b - a < 30)";
  assert.is((await guests.run(program, ["-c", source], { flags })).stdout, "True\n");
});

test("there are no threads, processes or sockets, and it says so", async () => {
  const source = `
import os, socket, subprocess, threading
for action in (lambda: threading.Thread(target=print).start(), lambda: subprocess.run(["x"]), lambda: socket.socket()):
    try:
        action()
    except (RuntimeError, OSError, AttributeError) as error:
        print(type(error).__name__)`;
  const { stdout } = await guests.runAsWasmtime(program, ["-c", source], { flags });
  assert.is(stdout.trimEnd().split("\n").length, 3);
});

test.run();
