import { native } from "../../../src/native.ts";
import { generatorOf } from "../../deterministic/seeded-random.ts";
import type { Grant } from "../../grant.ts";

/** The most that one call hands out; a longer request is refused by a trap before it can exhaust the process. */
const largestRequest = 64n * 1024n * 1024n;

/** Random numbers of a component's guest, of WASI 0.2 and 0.3 alike. */
export interface GuestRandom {
  bytes(length: number): Uint8Array;
  u64(): bigint;
  /** What hash tables are seeded with: one for the life of the guest. */
  insecureSeed(): [bigint, bigint];
}

/**
 * From the kernel's generator, unless the grant seeds one: OpenSSL's and Math.random's share their state between forked siblings.
 *
 * @param random of the grant
 */
export function guestRandom(random: Grant["random"]): GuestRandom {
  const generator = generatorOf(random);
  const bytes = (length: number): Uint8Array => {
    const buffer = new Uint8Array(length);
    if (generator === undefined) fillByKernel(buffer);
    else generator.fill(buffer);
    return buffer;
  };
  const u64 = (): bigint => new DataView(bytes(8).buffer).getBigUint64(0, true);
  let seed: readonly [bigint, bigint] | undefined;
  const insecureSeed = (): [bigint, bigint] => {
    seed ??= [u64(), u64()];
    return [...seed];
  };
  return { bytes, u64, insecureSeed };
}

function fillByKernel(buffer: Uint8Array): void {
  const errno = native.wasiRandom(buffer, 0, buffer.length);
  if (errno !== 0) throw new Error(`wasi:random: errno ${errno}`);
}

/** wasi:random 0.2. The insecure one is as good as the secure one: there is no reason to keep a second. */
export function createRandom({ bytes, u64, insecureSeed }: GuestRandom): Record<string, unknown> {
  const most = (length: bigint): Uint8Array => {
    if (length > largestRequest) throw new RangeError(`wasi:random: ${length} bytes in one request`);
    return bytes(Number(length));
  };
  return {
    "wasi:random/random": { getRandomBytes: most, getRandomU64: u64 },
    "wasi:random/insecure": { getInsecureRandomBytes: most, getInsecureRandomU64: u64 },
    "wasi:random/insecure-seed": { insecureSeed },
  };
}
