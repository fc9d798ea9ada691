import { constants } from "./mount-flags.ts";

/** What mount(2) wants: flags, and what is left over as data for the file system. */
export interface MountOptions {
  readonly flags: number;
  readonly data: string;
  /** Attach the source to a loop device first. */
  readonly loop: boolean;
}

const { MS_BIND, MS_REC } = constants;

/** Option → flag to set (or, with `clear`, to take back). The table of mount(8) that containerd's snapshotters use. */
const table: Readonly<Record<string, { readonly flag: number; readonly clear?: boolean }>> = {
  async: { flag: constants.MS_SYNCHRONOUS, clear: true },
  atime: { flag: constants.MS_NOATIME, clear: true },
  bind: { flag: MS_BIND },
  dev: { flag: constants.MS_NODEV, clear: true },
  diratime: { flag: constants.MS_NODIRATIME, clear: true },
  dirsync: { flag: constants.MS_DIRSYNC },
  exec: { flag: constants.MS_NOEXEC, clear: true },
  mand: { flag: constants.MS_MANDLOCK },
  noatime: { flag: constants.MS_NOATIME },
  nodev: { flag: constants.MS_NODEV },
  nodiratime: { flag: constants.MS_NODIRATIME },
  noexec: { flag: constants.MS_NOEXEC },
  nomand: { flag: constants.MS_MANDLOCK, clear: true },
  norelatime: { flag: constants.MS_RELATIME, clear: true },
  nostrictatime: { flag: constants.MS_STRICTATIME, clear: true },
  nosuid: { flag: constants.MS_NOSUID },
  rbind: { flag: MS_BIND | MS_REC },
  relatime: { flag: constants.MS_RELATIME },
  remount: { flag: constants.MS_REMOUNT },
  ro: { flag: constants.MS_RDONLY },
  rw: { flag: constants.MS_RDONLY, clear: true },
  strictatime: { flag: constants.MS_STRICTATIME },
  suid: { flag: constants.MS_NOSUID, clear: true },
  sync: { flag: constants.MS_SYNCHRONOUS },
  defaults: { flag: 0 },
};

/** Splits a snapshotter's mount options into flags and data, as mount(8) does. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0;
  let loop = false;
  const data: string[] = [];
  for (const option of options) {
    const entry = table[option];
    if (option === "loop") loop = true;
    else if (entry === undefined) data.push(option);
    else if (entry.clear === true) flags &= ~entry.flag;
    else flags |= entry.flag;
  }
  return { flags, data: data.join(","), loop };
}
