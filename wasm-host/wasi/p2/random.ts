import { closeSync, openSync, readSync } from "node:fs";

/** Fills the buffer with bytes of the kernel's generator. */
export type RandomSource = (buffer: Uint8Array) => void;

/**
 * /dev/urandom, opened before the process is isolated. OpenSSL's generator and Math.random share their state between forked
 * siblings; the kernel's does not.
 */
export function openRandom(): { readonly fill: RandomSource; readonly close: () => void } {
  const fd = openSync("/dev/urandom", "r");
  return {
    fill(buffer) {
      for (let filled = 0; filled < buffer.length; )
        filled += readSync(fd, buffer, filled, buffer.length - filled, null);
    },
    close: () => closeSync(fd),
  };
}

/** The most that one call hands out; a longer request is refused by a trap before it can exhaust the process. */
const largestRequest = 64n * 1024n * 1024n;

/** wasi:random 0.2. The insecure generator is as good as the secure one: there is no reason to keep a second. */
export function createRandom(fill: RandomSource): Record<string, unknown> {
  const bytes = (length: bigint): Uint8Array => {
    if (length > largestRequest) throw new RangeError(`wasi:random: ${length} bytes in one request`);
    const buffer = new Uint8Array(Number(length));
    fill(buffer);
    return buffer;
  };
  const u64 = (): bigint => new DataView(bytes(8n).buffer).getBigUint64(0, true);
  return {
    "wasi:random/random": { getRandomBytes: bytes, getRandomU64: u64 },
    "wasi:random/insecure": { getInsecureRandomBytes: bytes, getInsecureRandomU64: u64 },
    "wasi:random/insecure-seed": { insecureSeed: () => [u64(), u64()] },
  };
}
