import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SpecProcess } from "../../src/bundle/spec.ts";
import { capabilityWarnings } from "../../src/isolation/capabilities.ts";

const test = suite("warnings of capabilities");

const of = (capabilities: unknown): readonly string[] =>
  capabilityWarnings(capabilities as SpecProcess["capabilities"]).map(({ message }) => message);

test("A name that is none is told with its place", () => {
  assert.equal(of({ bounding: ["CAP_CHOWN", "CAP_FLY"], ambient: ["x"] }), [
    "process.capabilities.bounding[1]: CAP_FLY is no capability; left out",
    "process.capabilities.ambient[0]: x is no capability; left out",
  ]);
});

test("What the specification does not know is ignored, whatever it is", () => {
  assert.equal(of({ "": {}, extra: ["CAP_FLY"], effective: ["CAP_KILL"] }), []);
});

test("None are none", () => {
  assert.equal(of(undefined), []);
});

test.run();
