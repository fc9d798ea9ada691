/** docs/wasm-features.md lists what test/wasm-host/features tries, and no more. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { features, missingFeatures } from "../wasm-host/features/features.ts";
import { read, tableBelow } from "./markdown.ts";

const test = suite("docs/wasm-features.md");
const document = read("docs/wasm-features.md");

test("has a row for each feature, and each is there", () => {
  const rows = tableBelow(document, "# WebAssembly features");
  assert.equal(rows.map(([name]) => name).sort(), Object.keys(features).sort());
  for (const [name, standard, modules, components] of rows) {
    assert.match(standard ?? "", /^(WebAssembly [123]\.0$|proposal, phase 4$|deprecated)/, name);
    assert.match(modules ?? "", /^yes\b/, name);
    assert.match(components ?? "", /^yes\b/, name);
  }
});

test("has a row for each feature that is refused by its name", () => {
  const rows = tableBelow(document, "## Not there");
  assert.equal(rows.map(([name]) => name).sort(), Object.keys(missingFeatures).sort());
});

test("names the engine that there is", () => {
  assert.ok(document.includes(`V8 ${process.versions.v8.split(".").slice(0, 2).join(".")}`));
});

test.run();
