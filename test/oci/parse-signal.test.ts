import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseSignal } from "../../src/oci/parse-signal.ts";

const signals = suite("signals on the command line");

signals("are numbers or names, with SIG or without, in any case", () => {
  for (const text of ["9", "KILL", "SIGKILL", "sigkill", "kill"]) assert.is(parseSignal(text), 9, text);
  assert.is(parseSignal("TERM"), 15);
  assert.is(parseSignal("SIGPWR"), 30);
  assert.is(parseSignal("0"), 0);
});

signals("of real time count from either end", () => {
  assert.is(parseSignal("RTMIN"), 34);
  assert.is(parseSignal("SIGRTMIN+3"), 37);
  assert.is(parseSignal("RTMAX"), 64);
  assert.is(parseSignal("RTMAX-1"), 63);
});

signals("that do not exist are refused", () => {
  for (const text of ["", "65", "-1", "NONE", "RTMIN+99", "RTMAX-99", "9x", "1.5"])
    assert.throws(() => parseSignal(text), /unknown signal/, text);
});

signals.run();
