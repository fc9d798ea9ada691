import { fstatSync, readSync } from "node:fs";
import { SourceMap, type SourceMapPayload } from "node:module";
import { ByteReader } from "../../src/wasm-binary/byte-reader.ts";
import { findCustomSection } from "../../src/wasm-binary/sections.ts";
import type { SourcePosition } from "./line-table.ts";

/** Larger ones are left alone: a trap is to be told soon. */
const MOST_BYTES = 32 * 1024 * 1024;

/**
 * A module's source map: one that its section `sourceMappingURL` holds itself (`data:`), or else the file that lay beside the
 * module as `<module>.map`. No other place is looked at: the section is the guest's word.
 *
 * @param file a descriptor, which stays the caller's
 */
export function readSourceMap(bytes: Uint8Array, file: number | undefined): SourceMap | undefined {
  const section = findCustomSection(bytes, "sourceMappingURL");
  if (section === undefined || section.length > MOST_BYTES) return undefined;
  const url = new ByteReader(section).name();
  const text = url.startsWith("data:") ? decode(url) : file === undefined ? undefined : readWhole(file);
  if (text === undefined) return undefined;
  const payload: unknown = JSON.parse(text);
  return isPayload(payload) ? new SourceMap(payload) : undefined;
}

/** Source maps count a module as one line, and its bytes as columns. */
export function findInMap(map: SourceMap, offset: number): SourcePosition | undefined {
  const entry = map.findEntry(0, offset);
  if (!("originalSource" in entry)) return undefined;
  return { file: entry.originalSource, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
}

function decode(url: string): string | undefined {
  const [, base64, data = ""] = /^data:[^,]*?(;base64)?,(.*)$/s.exec(url) ?? [];
  return base64 === undefined ? decodeURIComponent(data) : Buffer.from(data, "base64").toString("utf8");
}

function readWhole(fd: number): string | undefined {
  const { size } = fstatSync(fd);
  if (size > MOST_BYTES) return undefined;
  const bytes = Buffer.alloc(size);
  let read = 0;
  for (let got = -1; got !== 0 && read < size; read += got)
    got = readSync(fd, bytes, read, size - read, read);
  return bytes.toString("utf8", 0, read);
}

function isPayload(value: unknown): value is SourceMapPayload {
  if (typeof value !== "object" || value === null) return false;
  const { mappings, sources } = value as Partial<SourceMapPayload>;
  const areNames = Array.isArray(sources) && sources.every((source) => typeof source === "string");
  return typeof mappings === "string" && areNames;
}
