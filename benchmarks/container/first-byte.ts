import { constants, openSync } from "node:fs";
import { Socket } from "node:net";
import { native } from "../../src/native.ts";

/** The client's end of a container's stdout. */
export interface Output {
  readonly path: string;
  /** performance.now() of the first byte; undefined when none has come. */
  firstByteAt(): number | undefined;
  close(): void;
}

/** Makes a FIFO and reads whatever is written to it. */
export function openOutput(path: string): Output {
  native.makeFifo(path);
  // With a writing end of its own a reader sees no end of file before the shim has opened the other.
  const socket = new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK), writable: false });
  let at: number | undefined;
  socket.on("data", () => {
    at ??= performance.now();
  });
  return { path, firstByteAt: () => at, close: () => socket.destroy() };
}
