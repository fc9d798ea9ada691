import type { OpenHow } from "./files.ts";

/** descriptor-flags of wasi:filesystem, the same in 0.2 and 0.3. */
export interface DescriptorFlags {
  readonly read?: boolean;
  readonly write?: boolean;
  readonly fileIntegritySync?: boolean;
  readonly dataIntegritySync?: boolean;
  readonly requestedWriteSync?: boolean;
  readonly mutateDirectory?: boolean;
}

export interface OpenFlags {
  readonly create?: boolean;
  readonly directory?: boolean;
  readonly exclusive?: boolean;
  readonly truncate?: boolean;
}

export interface PathFlags {
  readonly symlinkFollow?: boolean;
}

/** To create or truncate is to write; whoever does not ask for writing reads. */
export function openHow(path: PathFlags, open: OpenFlags, flags: DescriptorFlags): OpenHow {
  return {
    read: flags.read === true || flags.write !== true,
    write: flags.write === true || open.create === true || open.truncate === true,
    follow: path.symlinkFollow === true,
    create: open.create === true,
    directory: open.directory === true,
    exclusive: open.exclusive === true,
    truncate: open.truncate === true,
    syncData: flags.dataIntegritySync === true || flags.requestedWriteSync === true,
    sync: flags.fileIntegritySync === true,
  };
}
