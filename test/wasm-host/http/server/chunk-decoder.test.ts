import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ChunkDecoder } from "../../../../wasm-host/http/server/chunk-decoder.ts";
import { Refusal } from "../../../../wasm-host/http/server/refusal.ts";

const test = suite("chunks");
const limits = { maxTrailerBytes: 1024, maxTrailers: 10 };

interface Decoded {
  readonly body: string;
  readonly trailers: readonly string[];
  readonly left: string;
  readonly done: boolean;
}

function decode(pieces: readonly string[]): Decoded {
  const decoder = new ChunkDecoder(limits);
  let body = "";
  let left = "";
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, "latin1");
    const taken = decoder.take(bytes, (data) => {
      body += data.toString("latin1");
    });
    left += bytes.toString("latin1", taken);
  }
  const { done } = decoder;
  return { body, trailers: done ? decoder.trailers.toRaw() : [], left, done };
}

function statusOf(text: string): number | undefined {
  try {
    const { done } = decode([text]);
    assert.ok(done, "neither done nor refused");
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error.status;
    throw error;
  }
}

test("chunks, an extension, trailers, and what follows", () => {
  const { body, trailers, left } = decode([
    "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Sum: 1\r\nx-b:2\r\n\r\nGET / HTTP/1.1",
  ]);
  assert.is(body, "hello world");
  assert.equal(trailers, ["X-Sum", "1", "x-b", "2"]);
  assert.is(left, "GET / HTTP/1.1");
});

test("the same however the bytes come", () => {
  const chunk = fc
    .string({ minLength: 1, maxLength: 40 })
    .map((text) => Buffer.from(text).toString("latin1"));
  void fc.assert(
    fc.property(fc.array(chunk), fc.array(fc.nat(400)), fc.boolean(), (chunks, cuts, trailer) => {
      const encoded = chunks.map((data) => `${data.length.toString(16)}\r\n${data}\r\n`).join("");
      const whole = `${encoded}0\r\n${trailer ? "a: b\r\n" : ""}\r\nnext`;
      const places = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
      const pieces = places.slice(1).map((end, index) => whole.slice(places[index], end));
      const { body, trailers, left, done } = decode(pieces);
      assert.ok(done);
      assert.is(body, chunks.join(""));
      assert.equal(trailers, trailer ? ["a", "b"] : []);
      assert.is(left, "next");
    }),
  );
});

const refused: readonly (readonly [why: string, status: number, text: string])[] = [
  ["no size", 400, "\r\nhello\r\n0\r\n\r\n"],
  ["a size that is none", 400, "5x\r\nhello\r\n0\r\n\r\n"],
  ["a sign", 400, "+5\r\nhello\r\n0\r\n\r\n"],
  ["a prefix", 400, "0x5\r\nhello\r\n0\r\n\r\n"],
  ["a space before the size", 400, " 5\r\nhello\r\n0\r\n\r\n"],
  ["a size beyond 2^48", 400, "1000000000000000\r\n"],
  ["LF alone behind a size", 400, "5\nhello\r\n0\r\n\r\n"],
  ["LF alone behind the data", 400, "5\r\nhello\n0\r\n\r\n"],
  ["more data than the size", 400, "5\r\nhello!\r\n0\r\n\r\n"],
  ["a CR in an extension", 400, "5;a\rb\r\nhello\r\n0\r\n\r\n"],
  ["a size line without an end", 400, `5;${"a".repeat(5000)}`],
  ["LF alone in trailers", 400, "0\r\na: b\n\r\n"],
  ["a folded trailer", 400, "0\r\na: b\r\n c\r\n\r\n"],
  ["too large trailers", 431, `0\r\na: ${"b".repeat(2000)}\r\n\r\n`],
  ["trailers without an end", 431, `0\r\na: ${"b".repeat(2000)}`],
  ["too many trailers", 431, `0\r\n${"a: b\r\n".repeat(11)}\r\n`],
];

for (const [why, status, text] of refused)
  test(`${why}: ${status}`, () => {
    assert.is(statusOf(text), status);
  });

test.run();
