import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { native } from "../../native.ts";

const digestLength = 32;
/** BPF_MAXINSNS of 8 bytes. */
const maxFilterLength = 4096 * 8;

/**
 * A filter kept by `storeFilter`; undefined when there is none, or none that can be trusted: a file of another owner, one
 * that others may write, a torn or changed one. A filter is what stands between a container and the kernel.
 */
export function loadFilter(directory: string, key: string): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(`${directory}/${key}`, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch {
    // Whatever the reason, the filter can be made again.
    return undefined;
  }
  try {
    const { uid, mode, size } = fstatSync(fd);
    if (uid !== process.geteuid?.() || (mode & 0o022) !== 0 || size > digestLength + maxFilterLength)
      return undefined;
    const content = readFileSync(fd);
    const filter = content.subarray(digestLength);
    if (filter.length === 0 || filter.length % 8 !== 0) return undefined;
    return digest(key, filter).equals(content.subarray(0, digestLength)) ? filter : undefined;
  } finally {
    closeSync(fd);
  }
}

/** Keeps a filter for the next process. False when it cannot (a full or read-only disk): that costs time, nothing else. */
export function storeFilter(directory: string, key: string, filter: Buffer): boolean {
  const temporary = `${directory}/.${key}.${native.getpid()}-${randomBytes(4).toString("hex")}`;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(temporary, Buffer.concat([digest(key, filter), filter]), { mode: 0o600, flag: "wx" });
    renameSync(temporary, `${directory}/${key}`);
    return true;
  } catch {
    removeQuietly(temporary);
    return false;
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was never made, or the disk is broken: filters are then made anew each time, and nothing else is lost.
  }
}

/** The key is part of it, so that a file under another name is not taken for this one. */
function digest(key: string, filter: Buffer): Buffer {
  return createHash("sha256").update(key).update(filter).digest();
}
