import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseBytes } from "../../src/oci/verbs/update.ts";

const bytes = suite("numbers of bytes on the command line");

bytes("have units of 1024, however they are written", () => {
  assert.is(parseBytes("memory", "1000"), 1000);
  assert.is(parseBytes("memory", "64M"), 64 << 20);
  assert.is(parseBytes("memory", "64m"), 64 << 20);
  assert.is(parseBytes("memory", "1.5GiB"), 1.5 * 2 ** 30);
  assert.is(parseBytes("memory", "2kb"), 2048);
  assert.is(parseBytes("memory", "-1"), -1);
  assert.is(parseBytes("memory", undefined), undefined);
});

bytes("that are none are refused by the option's name", () => {
  for (const text of ["-2", "many", "1X", "1 2", "0x10"])
    assert.throws(() => parseBytes("memory-swap", text), /--memory-swap/, text);
});

bytes.run();
