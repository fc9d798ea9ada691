import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isWasi03, wasi03Key } from "../../src/image/wasi-version.ts";

const test = suite("wasi-version");

test("Releases of 0.3 and the candidate with its types are WASI 0.3", () => {
  for (const version of ["0.3.0", "0.3.1", "0.3.12", "0.3.0-rc-2026-03-15"])
    assert.ok(isWasi03(`wasi:cli/run@${version}`), version);
});

test("Other versions, earlier candidates and other namespaces are not", () => {
  for (const version of ["0.2.3", "0.30.0", "0.3", "0.4.0", "0.3.0-rc-2026-02-09", "0.3.0-rc-2025-09-16"])
    assert.not.ok(isWasi03(`wasi:cli/run@${version}`), version);
  assert.not.ok(isWasi03("wasi:cli/run"));
  assert.not.ok(isWasi03("acme:cli/run@0.3.0"));
});

test("All of 0.3 has one key", () => {
  assert.is(wasi03Key("wasi:cli/stdin@0.3.0"), "wasi:cli/stdin@0.3");
  assert.is(wasi03Key("wasi:http/types@0.3.0-rc-2026-03-15"), "wasi:http/types@0.3");
});

test.run();
