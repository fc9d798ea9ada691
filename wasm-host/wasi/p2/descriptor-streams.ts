import { readSync, writeSync } from "node:fs";
import { native } from "../../../src/native.ts";
import { usage } from "../../limits/usage.ts";
import type { InputSource, OutputSink } from "./streams.ts";
import { alwaysReady } from "./waiting.ts";

/**
 * Bytes of a descriptor that may have to be waited for: a FIFO, a terminal, a socket. The descriptor stays its owner's.
 * A read happens only when the descriptor is readable, so it never blocks, whatever the descriptor's flags are.
 */
export function createDescriptorInput(fd: number): InputSource {
  let ended = false;
  const ready = (polled?: boolean): boolean => ended || (polled ?? native.waitReadable(fd, 0));
  return {
    source: { ready, readable: fd },
    read(length) {
      if (ended) return undefined;
      if (length === 0 || !ready()) return new Uint8Array(0);
      const buffer = Buffer.allocUnsafe(length);
      const count = tryAgain(() => readSync(fd, buffer));
      if (count === 0) ended = true;
      return count === 0 ? undefined : buffer.subarray(0, Math.max(count, 0));
    },
    close() {},
  };
}

/** An input that is at its end from the beginning. */
export const emptyInput: InputSource = { source: alwaysReady, read: () => undefined, close() {} };

/** stdout or stderr: blocking writes in order. A reader that is gone closes the stream, as EPIPE does a program that ignores SIGPIPE. */
export function createDescriptorOutput(fd: number): OutputSink {
  let open = true;
  return {
    source: alwaysReady,
    capacity: () => (open ? 65_536 : undefined),
    write(bytes) {
      try {
        usage.output(bytes, (allowed) => writeAll(fd, allowed));
      } catch (error) {
        open = false;
        throw error;
      }
    },
    flush: () => alwaysReady,
    close() {},
  };
}

/** Takes everything and keeps nothing. */
export const discardingOutput: OutputSink = {
  source: alwaysReady,
  capacity: () => 65_536,
  write() {},
  flush: () => alwaysReady,
  close() {},
};

const sleeper = new Int32Array(new SharedArrayBuffer(4));

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) {
    const count = tryAgain(() => writeSync(fd, bytes, written));
    if (count > 0) written += count;
    else Atomics.wait(sleeper, 0, 0, 1); // O_NONBLOCK was set by someone who shares the pipe, and it is full
  }
}

/** -1 instead of EAGAIN and EINTR. */
function tryAgain(call: () => number): number {
  try {
    return call();
  } catch (error) {
    if (errnoOf(error) === "EAGAIN" || errnoOf(error) === "EINTR") return -1;
    throw error;
  }
}

function errnoOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
