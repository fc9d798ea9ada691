import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makePlan } from "../../../src/image/link/make-plan.ts";
import type { LinkPlan } from "../../../src/image/link/plan.ts";
import { Unlinkable } from "../../../src/image/link/unlinkable.ts";
import { rejects } from "../../support/rejects.ts";
import { assemble } from "../../wasm-host/guests/assemble.ts";

const test = suite("link plans");

/** A component that exports a handler, with more before and after its parts. */
function handler({ types = "", core = "", before = "" } = {}): string {
  return `(component
    (import "wasi:io/poll@0.2.0" (instance $poll
      (export "pollable" (type $p (sub resource)))
      (export "[method]pollable.ready" (func (param "self" (borrow $p)) (result bool)))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:http/types@0.2.3" (instance $http
      (alias outer 1 $pollable (type $p0))
      (export "pollable" (type $p (eq $p0)))
      (export "incoming-request" (type $in (sub resource)))
      (export "response-outparam" (type $out (sub resource)))
      (export "[method]incoming-request.path-with-query" (func (param "self" (borrow $in)) (result (option string))))
      (export "[method]incoming-request.wait" (func (param "self" (borrow $in)) (result (own $p))))
      ${types}))
    (alias export $http "incoming-request" (type $in))
    (alias export $http "response-outparam" (type $out))
    ${before}
    (core module $m
      (import "wasi:http/types@0.2.3" "[resource-drop]incoming-request" (func $drop (param i32)))
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
      (func (export "handle") (param i32 i32) (call $drop (local.get 0))))
    (core func $drop (canon resource.drop $in))
    (core instance $imports (export "[resource-drop]incoming-request" (func $drop)))
    (core instance $i (instantiate $m (with "wasi:http/types@0.2.3" (instance $imports))))
    ${core}
    (func $handle (param "request" (own $in)) (param "response-out" (own $out))
      (canon lift (core func $i "handle")))
    (instance $exported (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.3" (instance $exported)))`;
}

/** A core instance that calls a function of wasi:http/types, lowered as the options say. */
function lowering(name: string, options: string, type: string): string {
  return `(core func $f (canon lower (func $http "${name}") ${options}))
    (core module $n (import "a" "f" (func ${type})))
    (core instance (instantiate $n (with "a" (instance (export "f" (func $f))))))`;
}

const path = "[method]incoming-request.path-with-query";
const memory = '(memory (core memory $i "memory"))';
const realloc = '(realloc (core func $i "realloc"))';

function planOf(text: string): LinkPlan {
  return makePlan(assemble(text)).plan;
}

function unlinkable(text: string): string {
  try {
    planOf(text);
  } catch (error) {
    if (error instanceof Unlinkable) return error.message;
    throw error;
  }
  return "linkable";
}

test("a component is its core instances, what they import, and what it exports", () => {
  const core = lowering(path, `${memory} ${realloc} string-encoding=utf16`, "(param i32 i32)");
  const { plan, files } = makePlan(assemble(handler({ core })));
  assert.equal([...files.keys()], ["core0.wasm", "core1.wasm"]);
  assert.equal(
    plan.modules.map(({ state }) => state),
    [
      { memories: ["memory"], globals: [] },
      { memories: [], globals: [] },
    ],
  );
  const request = plan.resources.findIndex(({ name }) => name === "incoming-request");
  assert.equal(plan.instances, [
    { module: 0, imports: [["wasi:http/types@0.2.3", "[resource-drop]incoming-request", { drop: request }]] },
    { module: 1, imports: [["a", "f", { lowered: 0 }]] },
  ]);
  const [lowered] = plan.lowered;
  assert.is(lowered?.interface, "wasi:http/types");
  assert.is(lowered?.name, path);
  assert.is(lowered?.suspends, false);
  assert.is(lowered?.encoding, "utf16");
  assert.equal(lowered?.memory, [0, "memory"]);
  assert.equal(lowered?.realloc, [0, "realloc"]);
  assert.equal(plan.types[Number(lowered?.params[0])], { borrow: request });
  assert.equal(plan.types[Number(lowered?.result)], { option: "string" });
  const [handle] = plan.exports;
  assert.is(handle?.interface, "wasi:http/incoming-handler@0.2.3");
  assert.equal(handle?.core, [0, "handle"]);
  assert.equal(plan.types[Number(handle?.params[0])], { own: request });
});

test("a type that one interface uses of another is one and the same", () => {
  const core = `(core func $ready (canon lower (func $poll "[method]pollable.ready")))
    ${lowering("[method]incoming-request.wait", "", "(param i32) (result i32)")}
    (core module $o (import "a" "f" (func (param i32) (result i32))))
    (core instance (instantiate $o (with "a" (instance (export "f" (func $ready))))))`;
  const plan = planOf(handler({ core }));
  assert.equal(plan.resources.map((one) => `${one.interface}#${one.name}`).sort(), [
    "wasi:http/types#incoming-request",
    "wasi:http/types#response-outparam",
    "wasi:io/poll#pollable",
  ]);
});

test("one module that is instantiated twice is two instances with a state of their own", () => {
  const core = `(core module $n (memory (export "m") 1) (global (mut i32) (i32.const 0)))
    (core instance (instantiate $n)) (core instance (instantiate $n))`;
  const plan = planOf(handler({ core }));
  assert.equal(
    plan.instances.map(({ module }) => module),
    [0, 1, 1],
  );
});

test("a nested component that hands on what it is given, as bindings wrap exports", () => {
  const nested = handler().replace(
    '(instance $exported (export "handle" (func $handle)))',
    `(component $shim
        (import "import-type-in" (type $in (sub resource)))
        (import "import-type-out" (type $out (sub resource)))
        (import "import-func-handle" (func $f (param "request" (own $in)) (param "response-out" (own $out))))
        (export $in2 "incoming-request" (type $in))
        (export $out2 "response-outparam" (type $out))
        (export "handle" (func $f) (func (param "request" (own $in2)) (param "response-out" (own $out2)))))
      (instance $exported (instantiate $shim
        (with "import-type-in" (type $in))
        (with "import-type-out" (type $out))
        (with "import-func-handle" (func $handle))))`,
  );
  assert.equal(planOf(nested).exports[0]?.core, [0, "handle"]);
});

const others: readonly (readonly [why: string, text: string])[] = [
  ["a type of its own", handler({ before: "(type $own (resource (rep i32)))" })],
  [
    "a function that one part",
    handler({
      core: `(core module $p (func (export "g") (result i32) (i32.const 1)))
      (core instance $pi (instantiate $p))
      (func $g (result u32) (canon lift (core func $pi "g")))
      (core func $lowered (canon lower (func $g)))
      (core module $q (import "a" "g" (func (result i32))))
      (core instance (instantiate $q (with "a" (instance (export "g" (func $lowered))))))`,
    }),
  ],
  ["which is no interface", '(component (import "f" (func)))'],
  ["section 3", '(component (import "m" (core module)))'],
  ["64-bit addresses", handler({ core: "(core module $n (memory i64 1)) (core instance (instantiate $n))" })],
];

for (const [why, text] of others)
  test(`not for a plan: ${why}`, () => {
    assert.match(unlinkable(text), why);
  });

test("bytes that end too early are no component", async () => {
  const whole = assemble(handler());
  for (const length of [8, 20, 100, 300, whole.length - 3]) {
    if (length === 8) continue;
    await rejects(() => makePlan(whole.subarray(0, length)), "invalid_argument", /truncated/);
  }
});

test("what is no component throws nothing but the two errors that it may", () => {
  const whole = Buffer.from(
    assemble(handler({ core: lowering(path, `${memory} ${realloc}`, "(param i32 i32)") })),
  );
  for (let at = 8; at < whole.length; at++) {
    const broken = Buffer.from(whole);
    broken[at] = (broken[at] ?? 0) ^ 0x55;
    try {
      makePlan(broken);
    } catch (error) {
      const known = error instanceof Unlinkable || (error instanceof Error && error.name === "TandemError");
      assert.ok(known, `byte ${at}: ${String(error)}`);
    }
  }
});

test.run();
