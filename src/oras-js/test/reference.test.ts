import { test } from "uvu";
import * as assert from "uvu/assert";
import { formatReference, isLoopback, OrasError, parseReference } from "../src/index.ts";

const digest = `sha256:${"0123456789abcdef".repeat(4)}`;

const valid: readonly (readonly [string, object])[] = [
  ["localhost:5000/a", { registry: "localhost:5000", repository: "a" }],
  ["example.com/a/b-c/d__e:v1.0_x", { registry: "example.com", repository: "a/b-c/d__e", tag: "v1.0_x" }],
  [`127.0.0.1:1/a@${digest}`, { registry: "127.0.0.1:1", repository: "a", digest }],
  [`[::1]:5000/a:t@${digest}`, { registry: "[::1]:5000", repository: "a", tag: "t", digest }],
  [`h/a:${"t".repeat(128)}`, { registry: "h", repository: "a", tag: "t".repeat(128) }],
];

for (const [text, expected] of valid) {
  test(`${text.slice(0, 60)} is parsed and written back as it was`, () => {
    const reference = parseReference(text);
    assert.equal(reference, expected);
    assert.is(formatReference(reference), text);
  });
}

const invalid: readonly string[] = [
  "",
  "a",
  "/a",
  "host/",
  "host/A",
  "host/a/",
  "host//a",
  "host/a//b",
  "host/../b",
  "host/a/..",
  "host/a..b",
  "host/a___b",
  "host/.a",
  "host/a:",
  "host/a:.t",
  `host/a:${"t".repeat(129)}`,
  "host/a:t:u",
  "host/a@sha256:abc",
  `host/a@${digest}@${digest}`,
  `host/a@${digest.toUpperCase()}`,
  `host/a@md5:${"0".repeat(32)}`,
  "host:0/a",
  "host:65536/a",
  "host:/a",
  "user@host/a",
  "user:pass@host/a",
  "http://host/a",
  "ho st/a",
  "-host/a",
  "host/a?x",
  "host/a#x",
  "host/a%2f",
  "host/a\n",
  `host/${"a".repeat(256)}`,
];

for (const text of invalid) {
  test(`${JSON.stringify(text.slice(0, 60))} is refused`, () => {
    try {
      parseReference(text);
    } catch (error) {
      assert.instance(error, OrasError);
      assert.is((error as OrasError).code, "invalid_reference");
      return;
    }
    assert.unreachable();
  });
}

test("only this machine's own addresses are loopback", () => {
  for (const host of ["localhost", "localhost:5000", "127.0.0.1:1", "127.1.2.3", "[::1]:80"])
    assert.ok(isLoopback(host), host);
  for (const host of [
    "localhost.example.com",
    "128.0.0.1",
    "127.0.0.1.example.com",
    "[::2]",
    "10.0.0.1:5000",
  ]) {
    assert.not(isLoopback(host), host);
  }
});

test.run();
