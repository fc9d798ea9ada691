import { createHash } from "node:crypto";
import type { FileStat, FileTimes } from "./files.ts";

interface Datetime {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

/** The variant `new-timestamp`. */
export type NewTimestamp =
  | { readonly tag: "no-change" | "now" }
  | { readonly tag: "timestamp"; readonly val: Datetime };

/** The record `descriptor-stat`. */
export function descriptorStat(stat: FileStat): unknown {
  return {
    type: stat.type,
    linkCount: stat.links,
    size: stat.size,
    dataAccessTimestamp: datetime(stat.accessed),
    dataModificationTimestamp: datetime(stat.modified),
    statusChangeTimestamp: datetime(stat.changed),
  };
}

/** u64 seconds: a time before 1970 has no datetime. */
function datetime(nanoseconds: bigint): Datetime | undefined {
  if (nanoseconds < 0n) return undefined;
  return { seconds: nanoseconds / 1_000_000_000n, nanoseconds: Number(nanoseconds % 1_000_000_000n) };
}

/** What `set-times` asks for. */
export function fileTimes(accessed: NewTimestamp, modified: NewTimestamp): FileTimes {
  return { accessed: fileTime(accessed), modified: fileTime(modified) };
}

function fileTime(time: NewTimestamp): bigint | "now" | undefined {
  switch (time.tag) {
    case "no-change":
      return undefined;
    case "now":
      return "now";
    case "timestamp":
      return time.val.seconds * 1_000_000_000n + BigInt(time.val.nanoseconds);
  }
}

/**
 * `lower` tells files apart and stays while the file does: libc makes the inode number of it. `upper` changes with its size and its
 * time of modification. Neither shows the numbers that it was made of.
 */
export function metadataHash(stat: FileStat): { readonly lower: bigint; readonly upper: bigint } {
  const identity = `${stat.device} ${stat.inode}`;
  return { lower: hash64(identity), upper: hash64(`${identity} ${stat.size} ${stat.modified}`) };
}

function hash64(text: string): bigint {
  return createHash("sha256").update(text).digest().readBigUInt64LE();
}
