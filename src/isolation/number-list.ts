import { shown, TandemError } from "../errors.ts";

const BYTES = 128;

/**
 * A list of CPUs or memory nodes as cpuset(7) writes it, "0-3,7", as the kernel's bit mask of 1024 bits.
 *
 * @param kind what it is a list of, for the error
 * @throws TandemError invalid_argument naming the property
 */
export function bitsOf(list: string, property: string, kind: string): Buffer {
  const mask = Buffer.alloc(BYTES);
  for (const range of list.split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range.trim());
    const first = Number(match?.[1]);
    const last = match?.[2] === undefined ? first : Number(match[2]);
    if (match === null || last < first || last >= BYTES * 8) {
      throw new TandemError("invalid_argument", `${property}: ${shown(list)} is no list of ${kind}`);
    }
    for (let bit = first; bit <= last; bit++) mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  return mask;
}
