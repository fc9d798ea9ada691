import { randomBytes, randomU64 } from "../p2/random.ts";

/** The most that one call hands out: 0.3 lets a host return fewer bytes than were asked for, so that nobody has to be refused. */
const largestAnswer = 1_048_576n;

/** wasi:random 0.3, from the kernel's generator as in 0.2. The insecure seed is one for the instance's life. */
export function createRandom(): Record<string, unknown> {
  const bytes = (most: bigint): Uint8Array =>
    randomBytes(Number(most < largestAnswer ? most : largestAnswer));
  let seed: readonly [bigint, bigint] | undefined;
  return {
    "wasi:random/random@0.3": { getRandomBytes: bytes, getRandomU64: randomU64 },
    "wasi:random/insecure@0.3": { getInsecureRandomBytes: bytes, getInsecureRandomU64: randomU64 },
    "wasi:random/insecure-seed@0.3": {
      getInsecureSeed: () => {
        seed ??= [randomU64(), randomU64()];
        return [...seed];
      },
    },
  };
}
