import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { checkedCode, ENTRY_HEAD_BYTES, type EntryHead, sha256 } from "../../src/code/code-entry.ts";
import { CodeStore } from "../../src/code/code-store.ts";
import { rejects } from "../support/rejects.ts";

interface Context {
  directory: string;
}

const codeStore = suite<Context>("code store");

codeStore.before.each((context) => {
  context.directory = join(mkdtempSync(join(tmpdir(), "tandem-code-")), "code");
});
codeStore.after.each(({ directory }) => rmSync(join(directory, ".."), { recursive: true }));

const engine = "e".repeat(32);
const moduleOf = (digit: string): string => digit.repeat(64);

function add(store: CodeStore, digit: string, size = 100): EntryHead {
  const code = Buffer.alloc(size, digit);
  const head: EntryHead = {
    format: 1,
    engine,
    build: "0123456789abcdef",
    module: moduleOf(digit),
    size,
    sha256: sha256(code),
    optimised: 1,
    functions: 2,
  };
  store.add(head, code);
  return head;
}

/** As if it had been used so many seconds ago. */
function age(directory: string, digit: string, seconds: number): void {
  const time = Date.now() / 1000 - seconds;
  utimesSync(join(directory, engine, moduleOf(digit)), time, time);
}

codeStore("what was added is found by engine and module, and is root's alone", ({ directory }) => {
  const store = new CodeStore({ directory });
  assert.is(store.open(engine, moduleOf("a")), undefined);
  assert.not.ok(store.has(engine, moduleOf("a")));
  const head = add(store, "a");
  const fd = store.open(engine, moduleOf("a"));
  if (fd === undefined) throw new Error("not found");
  assert.equal(Buffer.from(checkedCode(readFileSync(fd), head)), Buffer.alloc(100, "a"));
  closeSync(fd);
  assert.is(store.open("f".repeat(32), moduleOf("a")), undefined);
  assert.is(statSync(directory).mode & 0o777, 0o700);
  assert.is(statSync(join(directory, engine, moduleOf("a"))).mode & 0o777, 0o600);
});

codeStore("counts uses, and forgets them with the entry", ({ directory }) => {
  const store = new CodeStore({ directory });
  const head = add(store, "a");
  assert.is(store.list()[0]?.uses, 0);
  for (let i = 0; i < 3; i++) closeSync(store.open(engine, moduleOf("a")) ?? -1);
  const [entry] = store.list();
  assert.is(entry?.uses, 3);
  assert.is(entry?.bytes, ENTRY_HEAD_BYTES + 100);
  store.remove(head);
  assert.equal(store.list(), []);
  add(store, "a");
  assert.is(store.list()[0]?.uses, 0);
});

codeStore("the least recently used go first, and what has just come stays", ({ directory }) => {
  const store = new CodeStore({ directory, maxBytes: 3 * (ENTRY_HEAD_BYTES + 100) });
  for (const digit of ["a", "b", "c"]) add(store, digit);
  for (const [digit, seconds] of Object.entries({ a: 30, b: 20, c: 10 })) age(directory, digit, seconds);
  closeSync(store.open(engine, moduleOf("a")) ?? -1);
  add(store, "d");
  const names = (): string[] => store.list().map(({ module }) => module[0] ?? "");
  assert.equal(names().sort(), ["a", "c", "d"]);
  // Larger than all: everything else goes.
  add(store, "0", 3 * (ENTRY_HEAD_BYTES + 100));
  assert.equal(names(), ["0"]);
});

codeStore("trim removes down to what it is told and says what", ({ directory }) => {
  const store = new CodeStore({ directory });
  for (const digit of ["a", "b"]) add(store, digit);
  age(directory, "a", 60);
  const removed = store.trim(ENTRY_HEAD_BYTES + 100);
  assert.equal(
    removed.map(({ module }) => module),
    [moduleOf("a")],
  );
  store.trim(0);
  assert.equal(store.list(), []);
});

codeStore("verify reads all of it", async ({ directory }) => {
  const store = new CodeStore({ directory });
  const head = add(store, "a");
  assert.equal(store.verify(head), head);
  truncateSync(join(directory, engine, moduleOf("a")), ENTRY_HEAD_BYTES + 50);
  await rejects(() => store.verify(head), "failed_precondition", /has 50 bytes of 100/);
  const other = { engine, module: moduleOf("b") };
  await rejects(() => store.verify(other), "not_found", /b{64}/);
  // Somebody has given it another module's name.
  writeFileSync(join(directory, engine, moduleOf("b")), readFileSync(join(directory, engine, moduleOf("a"))));
  await rejects(() => store.verify(other), "failed_precondition", /it is of module a{64}/);
});

codeStore("remembers for a day what could not be compiled", ({ directory }) => {
  const store = new CodeStore({ directory });
  assert.not.ok(store.hasFailed(engine, moduleOf("a")));
  store.markFailed(engine, moduleOf("a"));
  assert.ok(store.hasFailed(engine, moduleOf("a")));
  assert.not.ok(store.has(engine, moduleOf("a")));
  const mark = join(directory, engine, `${moduleOf("a")}.failed`);
  const yesterday = Date.now() / 1000 - 25 * 3600;
  utimesSync(mark, yesterday, yesterday);
  assert.not.ok(store.hasFailed(engine, moduleOf("a")));
  store.trim();
  assert.not.ok(existsSync(mark));
});

codeStore("what a process has left that was killed is no entry, and goes in time", ({ directory }) => {
  const store = new CodeStore({ directory });
  mkdirSync(join(directory, engine), { recursive: true });
  const left = join(directory, engine, `${moduleOf("a")}.new`);
  writeFileSync(left, "half");
  assert.equal(store.list(), []);
  store.trim();
  assert.ok(existsSync(left));
  const yesterday = Date.now() / 1000 - 25 * 3600;
  utimesSync(left, yesterday, yesterday);
  store.trim();
  assert.not.ok(existsSync(left));
});

codeStore("takes no name that leads out of it", async ({ directory }) => {
  const store = new CodeStore({ directory });
  for (const [one, other] of [
    ["..", moduleOf("a")],
    [engine, "../../etc/passwd"],
    ["", ""],
  ] as const)
    await rejects(() => store.open(one, other), "internal", /no entry's name/);
});

codeStore("a directory that cannot be made is an error with its path", async ({ directory }) => {
  writeFileSync(directory, "a file in its place");
  await rejects(() => add(new CodeStore({ directory }), "a"), "invalid_argument", /code store .*a{64}/);
  assert.equal(new CodeStore({ directory }).list(), []);
});

codeStore.run();
