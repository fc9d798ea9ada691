import { type Cipheriv, createCipheriv } from "node:crypto";
import type { SeededRandom } from "../grant.ts";

/** So much of the stream is made in one go. */
const PIECE = 65_536;

/**
 * A grant's generator: the keystream of ChaCha20 (RFC 8439) with the seed as key, counter and nonce 0, byte by byte in the order in
 * which they are asked for.
 */
export class SeededGenerator {
  readonly #cipher: Cipheriv;

  constructor({ seed }: SeededRandom) {
    // OpenSSL's 16 bytes are the counter and the nonce.
    this.#cipher = createCipheriv("chacha20", Buffer.from(seed, "hex"), new Uint8Array(16));
  }

  fill(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += PIECE) {
      const piece = bytes.subarray(at, at + PIECE);
      piece.set(this.#cipher.update(new Uint8Array(piece.length)));
    }
  }
}

const generators = new WeakMap<SeededRandom, SeededGenerator>();

/** The one generator of a grant, whichever interface draws from it; of another instance's grant (anew.ts) another. undefined: the kernel's. */
export function generatorOf(random: SeededRandom | undefined): SeededGenerator | undefined {
  if (random === undefined) return undefined;
  let generator = generators.get(random);
  if (generator === undefined) {
    generator = new SeededGenerator(random);
    generators.set(random, generator);
  }
  return generator;
}
