import type { GuestRandom } from "../p2/random.ts";

/** The most that one call hands out: 0.3 lets a host return fewer bytes than were asked for, so that nobody has to be refused. */
const largestAnswer = 1_048_576n;

/** wasi:random 0.3. */
export function createRandom({ bytes, u64, insecureSeed }: GuestRandom): Record<string, unknown> {
  const some = (most: bigint): Uint8Array => bytes(Number(most < largestAnswer ? most : largestAnswer));
  return {
    "wasi:random/random@0.3": { getRandomBytes: some, getRandomU64: u64 },
    "wasi:random/insecure@0.3": { getInsecureRandomBytes: some, getInsecureRandomU64: u64 },
    "wasi:random/insecure-seed@0.3": { getInsecureSeed: insecureSeed },
  };
}
