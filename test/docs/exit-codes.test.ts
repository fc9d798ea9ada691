/** docs/exit-codes.md and wasm-host/exit.ts say the same. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import {
  exitStatuses,
  statusFromExitCode,
  statusFromFailure,
  statusFromSignal,
} from "../../wasm-host/exit.ts";
import { codesOf, read, tableBelow } from "./markdown.ts";

const codes = suite("docs/exit-codes.md");
const document = read("docs/exit-codes.md");

codes("has a row for each status, and no other", () => {
  const rows = tableBelow(document, "# Exit codes");
  const named = rows.filter(([name = ""]) => name !== "–");
  const statuses = named.map(([name = "", code = ""]) => [codesOf(name)[0], Number(code)]);
  assert.equal(Object.fromEntries(statuses), exitStatuses);
  for (const [, code = "", ...cells] of rows) {
    assert.match(code, /^1[1-6]\d(–1[2-6]\d)?$/);
    assert.ok(cells.length === 3 && cells.every((cell) => cell !== ""), code);
  }
});

codes("says how signals and exit codes become statuses", () => {
  for (const [name, signal] of [
    ["137 for SIGKILL", 9],
    ["143 for SIGTERM", 15],
    ["134 |", 6],
    ["139 |", 11],
    ["159 (128 + SIGSYS)", 31],
  ] as const) {
    assert.ok(document.includes(name), name);
    assert.ok(name.startsWith(String(statusFromSignal(signal))), name);
  }
  assert.is(statusFromExitCode(256 + 3), 3);
});

codes("tells failures apart as the code does", () => {
  const status = (code: TandemError["code"]): number => statusFromFailure(new TandemError(code, "x"));
  assert.is(status("not_found"), exitStatuses.noEntry);
  assert.is(status("invalid_argument"), exitStatuses.cannotRun);
  assert.is(status("unimplemented"), exitStatuses.cannotRun);
  assert.is(status("resource_exhausted"), exitStatuses.cannotRun);
  assert.is(status("internal"), exitStatuses.hostError);
});

codes.run();
