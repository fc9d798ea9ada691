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
      const buffer = Buffer.allocUnsafe(length);
      const count = readSync(fd, buffer, 0, length, position);
      position += BigInt(count);
      return count === 0 ? undefined : buffer.subarray(0, count);
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
      for (let written = 0; written < bytes.length; ) {
        const at = position ?? fstatSync(fd, { bigint: true }).size;
        const count = writeSync(fd, bytes, written, bytes.length - written, Number(at));
        written += count;
        if (position !== undefined) position += BigInt(count);
      }
    },
    flush: () => alwaysReady,
    close() {},
  };
}
