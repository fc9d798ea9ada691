import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { HeadEnd } from "../../../../wasm-host/http/server/head-end.ts";
import { Refusal } from "../../../../wasm-host/http/server/refusal.ts";
import { type Head1, parseRequestHead } from "../../../../wasm-host/http/server/request-head.ts";

const test = suite("request heads");

/** As a connection does: looks for the end, then parses; undefined when the end has not come. */
function parse(text: string, maxFields = 100): Head1 | undefined {
  const bytes = Buffer.from(text, "latin1");
  const end = new HeadEnd().find(bytes, bytes.length);
  return end === undefined ? undefined : parseRequestHead(bytes, end, maxFields);
}

function statusOf(text: string): number | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error.status;
    throw error;
  }
}

const lines = (...list: string[]): string => `${list.join("\r\n")}\r\n\r\n`;

test("a plain request", () => {
  const head = parse(lines("GET /a/b?c=d HTTP/1.1", "Host: example.com:81", "X-One: 1", "x-Two:\t 2  "));
  assert.is(head?.method, "GET");
  assert.is(head?.path, "/a/b?c=d");
  assert.is(head?.authority, "example.com:81");
  assert.equal(head?.rawHeaders(), ["Host", "example.com:81", "X-One", "1", "x-Two", "2"]);
  assert.equal(head?.framing, { length: 0 });
  assert.ok(head?.keepAlive);
});

test("what says how long a body is", () => {
  assert.equal(parse(lines("POST / HTTP/1.1", "Host: x", "Content-Length: 12"))?.framing, { length: 12 });
  assert.is(parse(lines("POST / HTTP/1.1", "Host: x", "transfer-encoding: Chunked"))?.framing, "chunked");
});

test("what says whether the connection goes on", () => {
  assert.not.ok(parse(lines("GET / HTTP/1.1", "Host: x", "Connection: foo, Close"))?.keepAlive);
  assert.not.ok(parse(lines("GET / HTTP/1.0"))?.keepAlive);
  assert.ok(parse(lines("GET / HTTP/1.0", "connection: keep-alive"))?.keepAlive);
});

test("the forms of a target", () => {
  assert.is(parse(lines("OPTIONS * HTTP/1.1", "Host: x"))?.path, "*");
  const absolute = parse(lines("GET http://other:8080?q HTTP/1.1", "Host: x"));
  assert.is(absolute?.path, "/?q");
  assert.is(absolute?.authority, "other:8080");
  assert.is(parse(lines("GET /\xc3\xa9 HTTP/1.1", "Host: x"))?.path, "/é");
});

test("one empty line before a request is nothing", () => {
  assert.is(parse(`\r\n${lines("GET / HTTP/1.1", "Host: x")}`)?.path, "/");
});

test("HTTP2-Settings only of who asks for h2c as the standard says", () => {
  const asked = ["Upgrade: h2c", "HTTP2-Settings: AAMAAABk"];
  const settings = (...more: string[]) => parse(lines("GET / HTTP/1.1", "Host: x", ...more))?.upgradeSettings;
  assert.is(settings(...asked, "Connection: Upgrade, HTTP2-Settings"), "AAMAAABk");
  assert.is(settings(...asked, "Connection: Upgrade"), undefined);
  assert.is(
    settings("Upgrade: websocket", "HTTP2-Settings: x", "Connection: Upgrade, HTTP2-Settings"),
    undefined,
  );
  assert.is(settings(...asked, "Connection: Upgrade, HTTP2-Settings", "Content-Length: 1"), undefined);
});

const refused: readonly (readonly [why: string, status: number, text: string])[] = [
  [
    "Content-Length and Transfer-Encoding",
    400,
    lines("POST / HTTP/1.1", "Host: x", "Content-Length: 5", "Transfer-Encoding: chunked"),
  ],
  [
    "two Content-Lengths that differ",
    400,
    lines("POST / HTTP/1.1", "Host: x", "Content-Length: 5", "Content-Length: 6"),
  ],
  [
    "two that are the same",
    400,
    lines("POST / HTTP/1.1", "Host: x", "Content-Length: 5", "content-length: 5"),
  ],
  ["a list of them", 400, lines("POST / HTTP/1.1", "Host: x", "Content-Length: 5, 5")],
  ["a sign", 400, lines("POST / HTTP/1.1", "Host: x", "Content-Length: +5")],
  ["a hexadecimal one", 400, lines("POST / HTTP/1.1", "Host: x", "Content-Length: 0x5")],
  ["one beyond 2^53", 400, lines("POST / HTTP/1.1", "Host: x", "Content-Length: 99999999999999999999")],
  ["an empty one", 400, lines("POST / HTTP/1.1", "Host: x", "Content-Length: ")],
  [
    "two Transfer-Encodings",
    400,
    lines("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
  ],
  ["chunked twice", 501, lines("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked, chunked")],
  ["another coding", 501, lines("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: gzip, chunked")],
  [
    "a coding with a vertical tab",
    400,
    lines("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: \x0bchunked"),
  ],
  ["chunks in HTTP/1.0", 400, lines("POST / HTTP/1.0", "Transfer-Encoding: chunked")],
  ["a space before the colon", 400, lines("POST / HTTP/1.1", "Host: x", "Transfer-Encoding : chunked")],
  ["a space before the name", 400, lines("GET / HTTP/1.1", " Host: x")],
  ["a folded field", 400, lines("GET / HTTP/1.1", "Host: x", "X-A: 1", " 2")],
  ["a field without a name", 400, lines("GET / HTTP/1.1", "Host: x", ": 1")],
  ["a line without a colon", 400, lines("GET / HTTP/1.1", "Host: x", "nonsense")],
  ["a NUL in a value", 400, lines("GET / HTTP/1.1", "Host: x", "X-A: a\0b")],
  ["a CR in a value", 400, lines("GET / HTTP/1.1", "Host: x", "X-A: a\rb")],
  ["LF alone", 400, "GET / HTTP/1.1\nHost: x\n\n"],
  ["LF alone in the middle", 400, "GET / HTTP/1.1\r\nHost: x\nX-A: 1\r\n\r\n"],
  ["no Host", 400, lines("GET / HTTP/1.1")],
  ["two Hosts", 400, lines("GET / HTTP/1.1", "Host: x", "Host: y")],
  ["a Host that is none", 400, lines("GET / HTTP/1.1", "Host: a b")],
  ["a Host with a path", 400, lines("GET / HTTP/1.1", "Host: a/b")],
  ["an authority that is none", 400, lines("GET http://a b/ HTTP/1.1", "Host: x")],
  ["a target that is none", 400, lines("GET nonsense HTTP/1.1", "Host: x")],
  ["a target of another scheme", 400, lines("GET ftp://x/ HTTP/1.1", "Host: x")],
  ["a target that is not UTF-8", 400, lines("GET /\xe9 HTTP/1.1", "Host: x")],
  ["* of a GET", 400, lines("GET * HTTP/1.1", "Host: x")],
  ["two spaces", 400, lines("GET  / HTTP/1.1", "Host: x")],
  ["a tab for a space", 400, lines("GET\t/ HTTP/1.1", "Host: x")],
  ["no version", 400, lines("GET /", "Host: x")],
  ["a version that is none", 400, lines("GET / HTTP/1.1x", "Host: x")],
  ["HTTP/1.2", 400, lines("GET / HTTP/1.2", "Host: x")],
  ["HTTP/3.0", 505, lines("GET / HTTP/3.0", "Host: x")],
  ["CONNECT", 501, lines("CONNECT x:443 HTTP/1.1", "Host: x")],
  [
    "an expectation that nobody knows",
    417,
    lines("POST / HTTP/1.1", "Host: x", "Content-Length: 1", "Expect: 200-ok"),
  ],
  ["a target that is too long", 414, lines(`GET /${"a".repeat(20_000)} HTTP/1.1`, "Host: x")],
  [
    "too many fields",
    431,
    lines("GET / HTTP/1.1", "Host: x", ...Array.from({ length: 100 }, (_, at) => `X-${at}: 1`)),
  ],
];

for (const [why, status, text] of refused)
  test(`${why}: ${status}`, () => {
    assert.is(statusOf(text), status);
  });

test("whatever comes, it is a head or a refusal", () => {
  const piece = fc.constantFrom(
    "GET",
    " ",
    "/",
    "HTTP/1.1",
    "\r\n",
    "\n",
    "\r",
    ":",
    "Host",
    "x",
    "\0",
    "\xff",
    "chunked",
    "5",
  );
  void fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      statusOf(`${pieces.join("")}\r\n\r\n`);
    }),
    { numRuns: 2000 },
  );
});

test("the end is found however the bytes come", () => {
  const text = lines("GET /abc HTTP/1.1", "Host: x", "X-Long: 1234567890");
  void fc.assert(
    fc.property(fc.array(fc.nat(text.length)), (cuts) => {
      const bytes = Buffer.from(`${text}rest`);
      const end = new HeadEnd();
      let found: number | undefined;
      for (const length of [...cuts.sort((a, b) => a - b), bytes.length]) found ??= end.find(bytes, length);
      assert.is(found, text.length);
    }),
  );
});

test.run();
