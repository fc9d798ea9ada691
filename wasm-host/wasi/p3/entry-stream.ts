import type { FileType } from "../p2/files.ts";
import { type DescriptorType, descriptorType } from "./descriptor-types.ts";
import { hostStream, type StreamAndEnd } from "./host-stream.ts";

/** The record `directory-entry` of wasi:filesystem/types 0.3. */
export interface DirectoryEntry {
  readonly type: DescriptorType;
  readonly name: string;
}

/** The entries of a directory as they were when the stream was opened. */
export function entryStream<E>(
  entries: readonly { readonly name: string; readonly type: FileType }[],
): StreamAndEnd<DirectoryEntry, E> {
  const left = entries.values();
  const next = (): DirectoryEntry | undefined => {
    const { value, done } = left.next();
    return done === true ? undefined : { type: descriptorType(value.type), name: value.name };
  };
  return hostStream({ next, close() {} }, (error) => {
    throw error; // nothing above can fail
  });
}
