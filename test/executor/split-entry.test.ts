import { suite } from "uvu";
import * as assert from "uvu/assert";
import { splitEntry } from "../../src/executor/split-entry.ts";

const test = suite("entry of a module");

for (const [argument, path, name] of [
  ["/app.wasm", "/app.wasm", undefined],
  ["/app.wasm#", "/app.wasm", undefined],
  ["/app.wasm#run", "/app.wasm", "run"],
  ["/app.wasm#wasi:cli/run@0.2.0#run", "/app.wasm", "wasi:cli/run@0.2.0#run"],
  ["/a#b/app.wasm#c", "/a#b/app.wasm", "c"],
  ["/bin/sh#x", "/bin/sh#x", undefined],
] as const)
  test(`${argument}`, () => assert.equal(splitEntry(argument), { path, export: name }));

test.run();
