import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../../src/errors.ts";
import { readComponentFunctions } from "../../../src/wasm-binary/component/read-functions.ts";
import { isComponentFunctions } from "../../../src/wasm-binary/component/value-types.ts";
import { type LoadedComponent, loadComponent } from "../../../wasm-host/component.ts";
import { prepareComponentCall } from "../../../wasm-host/invoke/component-call.ts";
import { describeFunction } from "../../../wasm-host/invoke/describe-type.ts";
import { buildGuest, createScratch, grantOf, Stdio, transpileGuest } from "../guests/guest.ts";

const test = suite("calls of a component's exports");
const scratch = createScratch();
const path = buildGuest("invoke", scratch);
const files = await transpileGuest(path, scratch);
const { functions } = files.manifest;

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function invoke(entry: string, ...words: readonly string[]): Promise<Outcome> {
  const stdio = new Stdio(scratch);
  try {
    const component: LoadedComponent = loadComponent({ files, grant: grantOf(["guest", ...words], stdio) });
    const status = await component.run(prepareComponentCall(functions, entry, words));
    return { status, out: stdio.out, err: stdio.err };
  } finally {
    stdio.close();
  }
}

async function printed(entry: string, ...words: readonly string[]): Promise<string> {
  const { status, out, err } = await invoke(entry, ...words);
  assert.equal([status, err], [0, ""], entry);
  return out;
}

function refusal(entry: string, ...words: readonly string[]): string {
  try {
    prepareComponentCall(functions, entry, words);
  } catch (error) {
    assert.instance(error, TandemError);
    return (error as TandemError).message;
  }
  return "nothing was refused";
}

test("what a component exports is read from it", () => {
  const all = functions ?? { types: [], functions: {} };
  const described = Object.entries(all.functions).map(([name, one]) =>
    describeFunction(all.types, name, one),
  );
  assert.ok(described.includes("add(a: u32, b: u32) -> u32"), described.join("\n"));
  assert.ok(described.includes("nothing()"));
  assert.ok(described.includes("greet-http(name: string, greeting: option<string>) -> string"));
  assert.ok(described.includes("acme:shop/api@1.2.0#divide(a: u32, b: u32) -> result<u32, string>"));
  assert.ok(
    described.includes(
      "acme:shop/api@1.2.0#echo-shape(s: variant { dot, circle, named }) -> variant { dot, circle, named }",
    ),
  );
});

/** Calls of functions that give back what they get: as it is written, and as it is printed where that differs. */
const echoed: readonly (readonly [entry: string, written: string, as?: string])[] = [
  [
    "echo-point",
    '{x: -3, y-axis: 1.5, note: some("a\\"b\\u{e9}")}',
    '{x: -3, y-axis: 1.5, note: some("a\\"bé")}',
  ],
  ["echo-point", '{ y-axis: 6e2, x: 7, note: "flat" } // why not', '{x: 7, y-axis: 600, note: some("flat")}'],
  ["echo-point", "{x: 0, y-axis: -inf,}", "{x: 0, y-axis: -inf}"],
  [
    "echo-point",
    '{x: 1, y-axis: nan, note: """\n    two\n      lines\n    """}',
    '{x: 1, y-axis: nan, note: some("two\\n  lines")}',
  ],
  ["echo-shape", "dot"],
  ["echo-shape", "circle(0.1)"],
  ["echo-shape", '%named("x")', 'named("x")'],
  ["echo-direction", "south-west"],
  ["echo-direction", "%err"],
  ["echo-perms", "{write-all, exec}"],
  ["echo-perms", "{exec, read,}", "{read, exec}"],
  ["echo-perms", "{}"],
  ["echo-numbers", "[1, 18446744073709551615]"],
  ["echo-numbers", "[]"],
  ["echo-bytes", "[0, 255]"],
  ["echo-texts", '["a", "", "\\t"]'],
  [
    "echo-tuple",
    "('x', true, -128, 65535, -9223372036854775808, 3.4028235e38)",
    `('x', true, -128, 65535, -9223372036854775808, 34028235${"0".repeat(31)})`,
  ],
  ["echo-tuple", "('\\u{1F600}', false, 1, 2, 3, 4,)", "('😀', false, 1, 2, 3, 4)"],
  ["echo-nested", "none"],
  ["echo-nested", "some(none)"],
  ["echo-nested", "some(some(7))"],
  ["echo-nested", "some(7)", "some(some(7))"],
];

for (const [entry, written, as] of echoed) {
  test(`${entry}: ${written.replaceAll("\n", " ")}`, async () => {
    const wanted = `${as ?? written}\n`;
    assert.is(await printed(`${entry}(${written}\n)`), wanted);
    assert.is(await printed(entry, written), wanted, "as a word of its own");
  });
}

test("results are printed, and nothing for none", async () => {
  assert.is(await printed("add(2, 40)"), "42\n");
  assert.is(await printed("add", "4294967295", "1"), "0\n");
  assert.is(await printed("nothing()"), "");
  assert.is(await printed("divide(7, 2)"), "ok(3)\n");
  assert.is(await printed("divide(7, 0)"), 'err("by \\"zero\\"\\n")\n');
});

test("options at the end may be left out", async () => {
  assert.is(await printed('greet-http("you")'), '"hello you"\n');
  assert.is(await printed("greet-http", '"you"', '"good morning,"'), '"good morning, you"\n');
});

test("a function is named by as much as makes it the only one", async () => {
  for (const entry of [
    "api#both()",
    "api.both()",
    "acme:shop/api#both()",
    "acme:shop/api@1.2.0#both()",
    "acme:shop/api.both@1.2.0()",
  ])
    assert.is(await printed(entry), "1\n");
  assert.is(await printed("other#both"), "2\n");
  assert.is(
    refusal("both()"),
    "component has several exports both: acme:shop/api@1.2.0#both, acme:shop/other@1.2.0#both; name one in full",
  );
  assert.match(refusal("bothh()"), /^component has no export bothh; it has .*acme:shop\/api@1\.2\.0#both/);
  assert.match(refusal("api#both@9.9.9"), /^component has no export/);
});

test("what was expected is said", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["add(1)", "export add(a: u32, b: u32) -> u32: 1 argument given"],
    ["add(1, 2, 3)", "export add(a: u32, b: u32) -> u32: too many arguments given"],
    ["add(1 2)", 'export add: argument a: expected ",", not "2"'],
    ["add(-1, 2)", 'export add: argument a: expected u32, not "-1, 2"'],
    ["add(4294967296, 2)", 'export add: argument a: expected u32, not "4294967296, 2"'],
    ["add(0x10, 2)", 'export add: argument a: expected ",", not "x10, 2"'],
    ["add(1, 2", 'export add(1, 2: has no ")" at its end'],
    ["greet-http(you)", 'export greet-http: argument name: expected a string in double quotes, not "you"'],
    [
      'greet-http("\\q")',
      'export greet-http: argument name: expected a string in double quotes, not ""\\q""',
    ],
    ["echo-point({x: 1})", "export acme:shop/api@1.2.0#echo-point: argument p: expected a field y-axis"],
    [
      "echo-point({z: 1})",
      'export acme:shop/api@1.2.0#echo-point: argument p: expected a field (x, y-axis, note), not "z: 1}"',
    ],
    [
      "echo-shape(square)",
      'export acme:shop/api@1.2.0#echo-shape: argument s: expected variant { dot, circle, named }, not "square"',
    ],
    [
      "echo-direction(err)",
      'export acme:shop/api@1.2.0#echo-direction: argument d: expected enum { north, south-west, err }, not "err"',
    ],
    [
      "echo-perms({write})",
      'export acme:shop/api@1.2.0#echo-perms: argument p: expected a flag (read, write-all, exec), not "write}"',
    ],
    ["echo-bytes([256])", 'export acme:shop/api@1.2.0#echo-bytes: argument items: expected u8, not "256]"'],
    [
      "echo-tuple(('xy'))",
      "export acme:shop/api@1.2.0#echo-tuple: argument t: expected a char in single quotes, not \"'xy')\"",
    ],
    ["echo-tuple(('x'))", "export acme:shop/api@1.2.0#echo-tuple: argument t: expected 6 elements, not 1"],
    [
      "echo-nested(7)",
      'export acme:shop/api@1.2.0#echo-nested: argument o: expected none or some(…), not "7"',
    ],
  ];
  for (const [entry, message] of cases) assert.is(refusal(entry), message);
  assert.is(refusal("add(1, 2)", "3"), "export add(1, 2): has its arguments already, and 1 more were given");
  assert.is(refusal("add", "1", "2", "3"), "export add(a: u32, b: u32) -> u32: too many arguments given");
  assert.is(refusal("add", "1,", "2"), 'export add: argument a: expected the end, not ","');
});

test("a trap is one, with its stack", async () => {
  const { status, out, err } = await invoke("trap");
  assert.equal([status, out], [134, ""]);
  assert.match(err, /^trap: unreachable\nwasm backtrace:\n {4}0: trap/);
});

test("whatever a component is, reading its types ends in a RangeError or in types", async () => {
  const bytes = readFileSync(path);
  const change = fc.tuple(fc.integer({ min: 8, max: bytes.length - 1 }), fc.integer({ min: 0, max: 255 }));
  await fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), (changes) => {
      const broken = Uint8Array.from(bytes);
      for (const [at, byte] of changes) broken[at] = byte;
      try {
        const read = readComponentFunctions(broken);
        assert.ok(isComponentFunctions(JSON.parse(JSON.stringify(read))));
      } catch (error) {
        assert.instance(error, RangeError);
      }
    }),
    { numRuns: 1500 },
  );
});

test("types that were not read by us are looked at", () => {
  const good = {
    types: [{ kind: "list", element: "u8" }],
    functions: { f: { params: [["a", 0]], result: null } },
  };
  assert.ok(isComponentFunctions(good));
  for (const bad of [
    { ...good, types: [{ kind: "list", element: 0 }] },
    { ...good, types: [{ kind: "list", element: "u9" }] },
    { ...good, functions: { f: { params: [["a", 1]], result: null } } },
    { ...good, functions: { f: { params: [["a", -1]], result: null } } },
    { types: [], functions: null },
    null,
  ])
    assert.not.ok(isComponentFunctions(bad));
});

test.run();
