/** SQLite from Debian's source: real transactions on a granted directory, and what a power cut leaves of one. */
import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { makeSqlite } from "../../scripts/programs/sqlite.ts";
import { GuestRuns } from "./guest-runs.ts";

const program = await makeSqlite();
const guests = new GuestRuns();
const test = suite("SQLite");
test.after(() => guests[Symbol.dispose]());

/** Sorts that do not fit into memory go to files; without a /tmp SQLite has to be told where. */
const flags = guests.withWork("--env", "SQLITE_TMPDIR=/work", "--env", "HOME=/work");

async function sql(database: string, ...statements: string[]): Promise<string> {
  const { status, stdout, stderr } = await guests.run(program, ["-batch", `/work/${database}`], {
    flags,
    input: `.bail on\n${statements.join(";\n")};\n`,
  });
  assert.is(stderr, "");
  assert.is(status, 0);
  return stdout;
}

const numbers = (count: number): string =>
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
const rows = 100_000;
const SQLITE_READONLY = 8;

test(`a table of ${rows} rows is made, indexed, read again and sound`, async () => {
  const made = await sql(
    "rows.db",
    "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, noise BLOB)",
    `INSERT INTO t(name, noise) ${numbers(rows)} SELECT printf('row %06d', (i * 7919) % 100003), randomblob(64) FROM n`,
    "CREATE UNIQUE INDEX by_name ON t(name)",
    "SELECT count(*), sum(length(noise)) FROM t",
  );
  assert.is(made, `${rows}|${rows * 64}\n`);
  assert.is(await sql("rows.db", "PRAGMA integrity_check", "SELECT count(*) FROM t"), `ok\n${rows}\n`);
  assert.is(await sql("rows.db", "SELECT id FROM t WHERE name = 'row 007919'"), "1\n");
});

test("sorts that do not fit into memory, joins, windows, full text, JSON", async () => {
  const sorted = await sql(
    "rows.db",
    "PRAGMA cache_size = 50",
    "SELECT name FROM t ORDER BY noise, name LIMIT 1 OFFSET 99999",
    "SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY noise) AS place FROM t) WHERE place > 90000",
    "SELECT count(*) FROM t a JOIN t b ON b.id = a.id + 1",
  );
  assert.match(sorted, /^row \d{6}\n10000\n99999\n$/);
  const searched = await sql(
    "text.db",
    "CREATE VIRTUAL TABLE pages USING fts5(body)",
    `INSERT INTO pages ${numbers(5000)} SELECT 'page ' || i || CASE WHEN i % 1000 = 0 THEN ' thousand' ELSE '' END FROM n`,
    "SELECT count(*) FROM pages WHERE pages MATCH 'thousand'",
    `SELECT json_extract('{"a": [1, {"b": "c"}]}', '$.a[1].b')`,
  );
  assert.is(searched, "5\nc\n");
  assert.equal(
    readdirSync(guests.work).filter((name) => name.startsWith("etilqs")),
    [],
    "temporary files that stay",
  );
});

test("VACUUM gives back what was deleted", async () => {
  const before = statSync(join(guests.work, "rows.db")).size;
  await sql("rows.db", "DELETE FROM t WHERE id % 4 != 0", "VACUUM");
  assert.ok(statSync(join(guests.work, "rows.db")).size < before / 2);
  assert.is(await sql("rows.db", "PRAGMA integrity_check", "SELECT count(*) FROM t"), `ok\n${rows / 4}\n`);
});

test("an error within a transaction leaves nothing of it", async () => {
  await sql("undo.db", "CREATE TABLE t(a UNIQUE)", "INSERT INTO t VALUES (1)");
  const { status, stderr } = await guests.run(program, ["-batch", "-bail", "/work/undo.db"], {
    flags,
    input: "BEGIN; INSERT INTO t VALUES (2); INSERT INTO t VALUES (1); COMMIT;\n",
  });
  assert.is(status, 1);
  assert.match(stderr, "UNIQUE constraint failed: t.a");
  assert.is(await sql("undo.db", "SELECT count(*) FROM t"), "1\n");
});

test("killed in the middle of a transaction, it goes on from the state before", async () => {
  const journal = join(guests.work, "cut.db-journal");
  await sql(
    "cut.db",
    "CREATE TABLE t(a INTEGER, b BLOB)",
    `INSERT INTO t ${numbers(20000)} SELECT i, zeroblob(200) FROM n`,
  );
  const victim = guests.start(program, ["-batch", "/work/cut.db"], { flags });
  // A cache of ten pages: what the transaction changes is written to the database itself before it is done.
  victim.stdin.write(
    "PRAGMA cache_size = 10;\nBEGIN;\nUPDATE t SET b = randomblob(200), a = -a;\nSELECT 'changed';\n",
  );
  await once(victim.stdout, "data");
  await waitFor(async () => existsSync(journal) && statSync(journal).size > 100_000, 60_000, "a journal");
  victim.kill("SIGKILL");
  await once(victim, "close");
  const after = "SELECT count(*), min(a), max(a), sum(b = zeroblob(200)) FROM t";
  assert.ok(existsSync(journal), "the journal is hot");
  assert.is(await sql("cut.db", after, "PRAGMA integrity_check"), "20000|1|20000|20000\nok\n");
  assert.not(existsSync(journal));
});

test("a database in a directory that is granted read-only can be read and not changed", async () => {
  const readonly = ["--dir", `${guests.work}::/work::ro`];
  const read = await guests.run(program, ["-batch", "/work/rows.db", "SELECT count(*) FROM t"], {
    flags: readonly,
  });
  assert.is(read.stdout, `${rows / 4}\n`);
  const changed = await guests.run(program, ["-batch", "/work/rows.db", "DELETE FROM t"], {
    flags: readonly,
  });
  assert.is(changed.status, SQLITE_READONLY);
  assert.match(changed.stderr, "attempt to write a readonly database");
});

test("what it computes is what it computes in wasmtime", async () => {
  const statements = [
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL)",
    `INSERT INTO t ${numbers(20_000)} SELECT i, printf('%x', i * 2654435761), sqrt(i) FROM n`,
    "CREATE INDEX by_b ON t(b)",
    "SELECT count(*), sum(length(b)), round(sum(c), 6), max(b) FROM t",
    "SELECT b, rank() OVER (ORDER BY b DESC) FROM t LIMIT 5",
    "EXPLAIN QUERY PLAN SELECT * FROM t WHERE b > 'f' ORDER BY b",
    "SELECT hex(sha3('text')), date(0, 'unixepoch'), json_group_array(a) FROM t WHERE a < 9",
    "PRAGMA integrity_check",
    ".dump t",
  ];
  const { status, stderr, stdout } = await guests.runAsWasmtime(program, ["-batch", "/work/same.db"], {
    flags,
    input: `.bail on\n${statements.map((text) => (text.startsWith(".") ? text : `${text};`)).join("\n")}\n`,
  });
  assert.is(stderr, "");
  assert.is(status, 0);
  assert.match(stdout, /^20000\|.*\n[\s\S]*COMMIT;\n$/);
});

test.run();
