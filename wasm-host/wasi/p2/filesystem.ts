import type { Preopen } from "../../grant.ts";
import { Descriptor, DirectoryEntryStream, type FilesystemHost } from "./descriptor.ts";
import { errorCodeOf } from "./files.ts";
import type { IoError } from "./streams.ts";

/** wasi:filesystem 0.2 for one instance. Without preopens a component sees no file at all. */
export function createFilesystem(
  preopens: readonly Preopen[],
  host: FilesystemHost,
): Record<string, unknown> {
  const open = (preopen: Preopen): [Descriptor, string] => {
    const mayChange = !preopen.readonly;
    const flags = { read: true, mutateDirectory: mayChange };
    return [new Descriptor(preopen.fd, { flags, mayChange, owned: false, host }), preopen.guestPath];
  };
  return {
    "wasi:filesystem/preopens": { getDirectories: () => preopens.map(open) },
    "wasi:filesystem/types": { Descriptor, DirectoryEntryStream, filesystemErrorCode },
  };
}

function filesystemErrorCode(error: IoError): string | undefined {
  try {
    return errorCodeOf(error.cause);
  } catch {
    return undefined; // not an error of the system
  }
}
