import { suite } from "uvu";
import * as assert from "uvu/assert";
import { patchGlue } from "../../src/image/glue-patches.ts";

const test = suite("glue-patches");

test("Glue without streams, futures and tasks is left alone", () => {
  const glue = "function instantiate() {\nreturn {};\n}";
  assert.is(patchGlue(glue), glue);
});

test("What has to be patched and is not as it was names the patch", () => {
  assert.throws(
    () => patchGlue("class BufferManager {\ncreateBuffer() {}\n}"),
    /^jco's glue is not as it was: no place for "buffers are not collected"$/m,
  );
});

test("A host that waits is told instead of looking", () => {
  const looking = [
    "let waitInterval = setInterval(() => {",
    "if (!this.hasPendingEvent()) { return; }",
    "clearInterval(waitInterval);",
    "resolve();",
    "});",
  ].join("\n");
  assert.is(
    patchGlue(`${looking}\nx();\n${looking}`),
    "this.getWaitable().whenPending(resolve);\nx();\nthis.getWaitable().whenPending(resolve);",
  );
});

test.run();
