import { fstatSync, readSync, writeSync } from "node:fs";
import type { InputSource, OutputSink } from "./streams.ts";
import { alwaysReady } from "./waiting.ts";

/** A file read from `offset` on. Files are always ready: a read of a disk is not waited for, it is made. */
export function createFileInput(fd: number, offset: bigint): InputSource {
  let position = offset;
  return {
    source: alwaysReady,
    read(length) {
      if (length === 0) return new Uint8Array(0);
      const bytes = readAt(fd, length, position);
      position += BigInt(bytes.length);
      return bytes.length === 0 ? undefined : bytes;
    },
    close() {},
  };
}

/** A file written from `offset` on, or at its end each time. */
export function createFileOutput(fd: number, offset: bigint | "append"): OutputSink {
  let position = offset === "append" ? undefined : offset;
  return {
    source: alwaysReady,
    capacity: () => 1_048_576,
    write(bytes) {
      for (let rest = bytes; rest.length > 0; ) {
        const count = writeAt(fd, rest, position ?? fstatSync(fd, { bigint: true }).size);
        rest = rest.subarray(count);
        if (position !== undefined) position += BigInt(count);
      }
    },
    flush: () => alwaysReady,
    close() {},
  };
}

/** off_t is signed. */
const largestOffset = 0x7fff_ffff_ffff_ffffn;

/** pread(2) of at most `length` bytes; EINVAL for an offset that no file has. */
export function readAt(fd: number, length: number, offset: bigint): Uint8Array {
  if (offset + BigInt(length) > largestOffset) throw failure("EINVAL");
  const buffer = Buffer.allocUnsafe(length);
  return buffer.subarray(0, readSync(fd, buffer, 0, length, offset));
}

/** pwrite(2); EFBIG beyond what a JavaScript number can say: Node would write at the descriptor's own position there. */
export function writeAt(fd: number, bytes: Uint8Array, offset: bigint): number {
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw failure("EFBIG");
  return writeSync(fd, bytes, 0, bytes.length, Number(offset));
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}
