import { native } from "../../../src/native.ts";

/** The most that one call hands out; a longer request is refused by a trap before it can exhaust the process. */
const largestRequest = 64n * 1024n * 1024n;

/**
 * wasi:random 0.2, from the kernel's generator: OpenSSL's and Math.random's share their state between forked siblings. The
 * insecure one is as good as the secure one: there is no reason to keep a second.
 */
export function createRandom(): Record<string, unknown> {
  const bytes = (length: bigint): Uint8Array => {
    if (length > largestRequest) throw new RangeError(`wasi:random: ${length} bytes in one request`);
    return randomBytes(Number(length));
  };
  return {
    "wasi:random/random": { getRandomBytes: bytes, getRandomU64: randomU64 },
    "wasi:random/insecure": { getInsecureRandomBytes: bytes, getInsecureRandomU64: randomU64 },
    "wasi:random/insecure-seed": { insecureSeed: () => [randomU64(), randomU64()] },
  };
}

/** From the kernel's generator. */
export function randomBytes(length: number): Uint8Array {
  const buffer = new Uint8Array(length);
  const errno = native.wasiRandom(buffer, 0, length);
  if (errno !== 0) throw new Error(`wasi:random: errno ${errno}`);
  return buffer;
}

export function randomU64(): bigint {
  return new DataView(randomBytes(8).buffer).getBigUint64(0, true);
}
