import { suite } from "uvu";
import * as assert from "uvu/assert";
import { demangle } from "../../../wasm-host/debug/demangle.ts";

const test = suite("demangle");

const names: [string, string][] = [
  ["main", "main"],
  ["_ZN4core9panicking5panic17h0123456789abcdefE", "core::panicking::panic"],
  ["core::panicking::panic::h0123456789abcdef", "core::panicking::panic"],
  ["_ZN3foo3barEi", "foo::bar"],
  ["_Z3addii", "add"],
  ["_ZNK5shape4areaEv", "shape::area"],
  [
    "_ZN60_$LT$alloc..string..String$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
    "<alloc::string::String as core::fmt::Display>::fmt",
  ],
  // What is more complicated, or no mangled name at all, stays.
  ["_ZN3fooIiE3barEv", "_ZN3fooIiE3barEv"],
  ["_RNvC5crate4main", "_RNvC5crate4main"],
  ["_ZN99xE", "_ZN99xE"],
  ["_ZN", "_ZN"],
  ["_ZNE", "_ZNE"],
  ["_Z", "_Z"],
  ["_ZN3foo", "_ZN3foo"],
];

for (const [mangled, wanted] of names)
  test(`${mangled} is ${wanted}`, () => assert.is(demangle(mangled), wanted));

test.run();
