import type { FileStat, FileTimes, FileType } from "../p2/files.ts";
import { errorCodeOf } from "../p2/files.ts";

/** The variant `descriptor-type` of wasi:filesystem/types 0.3. */
export type DescriptorType =
  | { readonly tag: Exclude<FileType, "unknown"> }
  | { readonly tag: "other"; readonly val: string | undefined };

/** The variant `error-code` of wasi:filesystem/types 0.3. */
export interface ErrorCode {
  readonly tag: string;
  readonly val?: string | undefined;
}

/** The record `instant` of wasi:clocks/system-clock 0.3: seconds since 1970, before it when negative. */
interface Instant {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

/** The variant `new-timestamp`. */
export type NewTimestamp =
  | { readonly tag: "no-change" | "now" }
  | { readonly tag: "timestamp"; readonly val: Instant };

export function descriptorType(type: FileType): DescriptorType {
  return type === "unknown" ? { tag: "other", val: undefined } : { tag: type };
}

/** Name of the errno that `error` carries; a bug of ours is thrown on. */
export function toErrorCode(error: unknown): ErrorCode {
  const tag = errorCodeOf(error);
  // 0.3 has no `would-block`: there is nothing in it that would not block.
  return tag === "would-block" ? { tag: "other", val: "EAGAIN" } : { tag };
}

/** The record `descriptor-stat`. */
export function descriptorStat(stat: FileStat): unknown {
  return {
    type: descriptorType(stat.type),
    linkCount: stat.links,
    size: stat.size,
    dataAccessTimestamp: instant(stat.accessed),
    dataModificationTimestamp: instant(stat.modified),
    statusChangeTimestamp: instant(stat.changed),
  };
}

const second = 1_000_000_000n;

/** The nanoseconds count forwards also before 1970. */
function instant(nanoseconds: bigint): Instant {
  const rest = ((nanoseconds % second) + second) % second;
  return { seconds: (nanoseconds - rest) / second, nanoseconds: Number(rest) };
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
      return fromInstant(time.val);
  }
}

function fromInstant({ seconds, nanoseconds }: Instant): bigint {
  if (nanoseconds >= 1_000_000_000) throw Object.assign(new Error("EINVAL"), { code: "EINVAL" });
  const time = seconds * second + BigInt(nanoseconds);
  if (BigInt.asIntN(64, time) !== time) throw Object.assign(new Error("EOVERFLOW"), { code: "EOVERFLOW" });
  return time;
}
