import type { Preopen } from "../../grant.ts";
import type { Files } from "../p2/files.ts";
import { Descriptor } from "./descriptor.ts";

/** wasi:filesystem 0.3 for one instance. Without preopens a component sees no file at all. */
export function createFilesystem(preopens: readonly Preopen[], files: Files): Record<string, unknown> {
  const open = ({ fd, guestPath, readonly }: Preopen): [Descriptor, string] => {
    const flags = { read: true, mutateDirectory: !readonly };
    return [new Descriptor(fd, { files, flags, mayChange: !readonly, owned: false }), guestPath];
  };
  return {
    "wasi:filesystem/preopens@0.3": { getDirectories: () => preopens.map(open) },
    "wasi:filesystem/types@0.3": { Descriptor },
  };
}
