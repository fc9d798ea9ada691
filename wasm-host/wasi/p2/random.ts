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
    const buffer = new Uint8Array(Number(length));
    const errno = native.wasiRandom(buffer, 0, buffer.length);
    if (errno !== 0) throw new Error(`wasi:random: errno ${errno}`);
    return buffer;
  };
  const u64 = (): bigint => new DataView(bytes(8n).buffer).getBigUint64(0, true);
  return {
    "wasi:random/random": { getRandomBytes: bytes, getRandomU64: u64 },
    "wasi:random/insecure": { getInsecureRandomBytes: bytes, getInsecureRandomU64: u64 },
    "wasi:random/insecure-seed": { insecureSeed: () => [u64(), u64()] },
  };
}
