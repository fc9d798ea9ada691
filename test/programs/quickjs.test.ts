/** QuickJS from Debian's source, by its own tests. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeQuickjs, quickjsSource } from "../../scripts/programs/quickjs.ts";
import { GuestRuns } from "./guest-runs.ts";

const test = suite("QuickJS");
const program = await makeQuickjs();
const guests = new GuestRuns();

test.after(() => guests[Symbol.dispose]());

/** Its other tests are about the parts that need signals, processes and threads. */
const ownTests = ["test_language", "test_builtin", "test_closure", "test_loop", "test_bigint"];

test(`its own ${ownTests.join(", ")}`, async () => {
  const flags = ["--dir", `${quickjsSource().directory}/tests::/tests::ro`];
  for (const name of ownTests) {
    const { status, stdout, stderr } = await guests.runAsWasmtime(program, [`/tests/${name}.js`], {
      flags,
    });
    assert.is(status, 0, `${name}: ${stdout}${stderr}`);
  }
});

test("promises, generators, regular expressions, big integers and modules", async () => {
  const source = `
    import { twice } from "./lib.js";
    const sleepless = async (n) => { for (let i = 0; i < n; i++) await null; return n; };
    function* squares(n) { for (let i = 1; i <= n; i++) yield i * i; }
    print(twice([...squares(4)].join()), "2024-05-06".replace(/(?<y>\\d+)-(?<m>\\d+)-(?<d>\\d+)/u, "$<d>.$<m>.$<y>"));
    print(2n ** 200n, JSON.stringify({ a: [1, null, "\\u20ac"] }), new Date(0).toISOString());
    print(await sleepless(10000));
    let depth = 0;
    const forever = () => { depth++; return 1 + forever(); };
    try { forever(); } catch (error) { print(error.name, error.message, depth > 500); }
  `;
  writeFileSync(join(guests.work, "main.js"), source);
  writeFileSync(join(guests.work, "lib.js"), 'export const twice = (text) => [text, text].join(";");');
  const { status, stdout, stderr } = await guests.run(program, ["/work/main.js"]);
  assert.is(stderr, "");
  assert.is(status, 0);
  const lines = [
    "1,4,9,16;1,4,9,16 06.05.2024",
    '1606938044258990275541962092341162602522202993782792835301376 {"a":[1,null,"€"]} 1970-01-01T00:00:00.000Z',
    "10000",
    "InternalError stack overflow true",
  ];
  assert.is(stdout, `${lines.join("\n")}\n`);
});

test("an uncaught error is on stderr with its stack, status 1", async () => {
  writeFileSync(join(guests.work, "throws.js"), "function f() { throw new TypeError('no') }\nf();\n");
  const { status, stderr } = await guests.run(program, ["/work/throws.js"]);
  assert.is(status, 1);
  assert.match(stderr, /^TypeError: no\n {4}at f \(\/work\/throws.js:1:/);
});

test.run();
