import { suite } from "uvu";
import * as assert from "uvu/assert";
import { stripCalls } from "../../src/image/strip-calls.ts";

const test = suite("strip-calls");

test("A call at the beginning of a line becomes an empty statement", () => {
  assert.is(stripCalls("a();\nlog(1, { b: [c()] });\nd();", "log"), "a();\n;\nd();");
  assert.is(stripCalls("if (x)\nlog(1);\nd();", "log"), "if (x)\n;\nd();");
});

test("Other calls and the function itself stay", () => {
  const script = "const log = () => {};\nblog(1);\nx.log(2);\nreturn log(3);";
  assert.is(stripCalls(script, "log"), script);
});

test("Brackets in strings and templates do not end it", () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the script's
  for (const argument of ['")"', "')\\')'", "`) ${f(`}`)} \\` )`", '{ a: "}", b: [")"] }'])
    assert.is(stripCalls(`log(${argument});\nrest();`, "log"), ";\nrest();", argument);
});

test("A call over several lines goes whole", () => {
  assert.is(stripCalls("log('x', {\na: b.c(),\n});\nlog(`y`);\nrest();", "log"), ";\n;\nrest();");
});

test("A script that ends within a call is left as it is", () => {
  assert.is(stripCalls("a();\nlog((1);", "log"), "a();\nlog((1);");
});

test.run();
