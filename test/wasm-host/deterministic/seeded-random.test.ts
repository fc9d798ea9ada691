import { suite } from "uvu";
import * as assert from "uvu/assert";
import { anew } from "../../../wasm-host/deterministic/anew.ts";
import { generatorOf, SeededGenerator } from "../../../wasm-host/deterministic/seeded-random.ts";

const test = suite("seeded random");
const zero = { seed: "00".repeat(32) };

function take(generator: SeededGenerator, length: number): string {
  const bytes = new Uint8Array(length);
  generator.fill(bytes);
  return Buffer.from(bytes).toString("hex");
}

test("is the keystream of ChaCha20: RFC 8439, A.1, vectors 1 and 2", () => {
  const expected =
    "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586" +
    "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f";
  assert.is(take(new SeededGenerator(zero), 128), expected);
});

test("goes on where it was, whatever the pieces", () => {
  const whole = take(new SeededGenerator(zero), 200_000);
  const generator = new SeededGenerator(zero);
  const pieces = [1, 0, 63, 70_000, 129_936].map((length) => take(generator, length)).join("");
  assert.ok(pieces === whole);
});

test("a grant has one, and another seed another", () => {
  const random = { seed: "01".repeat(32) };
  assert.is(generatorOf(random), generatorOf(random));
  assert.is(generatorOf(undefined), undefined);
  const grant = { random };
  assert.is.not(generatorOf(anew(grant).random), generatorOf(random));
  assert.equal([anew(grant), anew({})], [{ random }, {}]);
  assert.is.not(take(new SeededGenerator(random), 8), take(new SeededGenerator(zero), 8));
});

test.run();
