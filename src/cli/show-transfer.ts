import type { Progress } from "oras-js";

/** One line for each blob that is done; on stderr, because stdout is the digest's. */
export function showTransfer({ descriptor, state }: Progress): void {
  if (state === "moving") return;
  process.stderr.write(
    `${descriptor.digest.slice(7, 19)} ${descriptor.size} bytes ${descriptor.mediaType}: ${state}\n`,
  );
}
