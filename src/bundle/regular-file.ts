import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { TandemError } from "../errors.ts";

/** Far above any config.json; a larger one is a mistake or meant to do harm. */
const MAX_BYTES = 64 << 20;

/**
 * Reads a file that somebody else wrote. Whoever reads serves others, too: neither a FIFO that nobody writes to nor an endless file
 * may hold it up.
 *
 * @throws TandemError invalid_argument for what is no regular file, or of more than 64 MiB; as open(2) fails
 */
export function readRegularFile(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new TandemError("invalid_argument", `${path}: is not a regular file`);
    if (status.size > MAX_BYTES) throw new TandemError("invalid_argument", `${path}: is larger than 64 MiB`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
