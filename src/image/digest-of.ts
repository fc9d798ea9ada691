import { createHash, hash } from "node:crypto";
import { fstatSync, readSync } from "node:fs";
import { TandemError } from "../errors.ts";

/** A sparse file has any size and costs its author nothing. */
const MAX_COMPONENT_BYTES = 512 * 1024 * 1024;

const SMALL_BYTES = 256 * 1024;

/**
 * `sha256:…` of an open file, from its beginning.
 * @throws TandemError resource_exhausted for a file of more than 512 MB
 */
export function digestOf(fd: number): string {
  const { size } = fstatSync(fd);
  if (size > MAX_COMPONENT_BYTES)
    throw new TandemError("resource_exhausted", `component of ${size} bytes: too large`);
  // On the path of a start: what is small is read and hashed in one go each.
  if (size <= SMALL_BYTES) {
    const bytes = Buffer.allocUnsafe(size);
    return `sha256:${hash("sha256", bytes.subarray(0, readSync(fd, bytes, 0, size, 0)))}`;
  }
  const digest = createHash("sha256");
  const chunk = Buffer.allocUnsafe(1 << 18);
  for (let at = 0, length = 1; length > 0; at += length) {
    length = readSync(fd, chunk, 0, chunk.length, at);
    digest.update(chunk.subarray(0, length));
  }
  return `sha256:${digest.digest("hex")}`;
}
