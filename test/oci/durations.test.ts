import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseDuration } from "../../src/oci/durations.ts";

const durations = suite("lengths of time on the command line");

durations("are read as Go programs write them", () => {
  assert.is(parseDuration("interval", "5s"), 5000);
  assert.is(parseDuration("interval", "1m30s"), 90_000);
  assert.is(parseDuration("interval", "1.5h"), 5_400_000);
  assert.is(parseDuration("interval", "250ms"), 250);
  assert.is(parseDuration("interval", "2000us"), 2);
});

durations("that are none, or no time at all, are refused by the option's name", () => {
  for (const text of ["", "5", "s", "-5s", "0s", "5 s", "5s.", "five"])
    assert.throws(() => parseDuration("interval", text), /--interval/, text);
});

durations.run();
