/** mount(2) and umount2(2) flags, from linux/mount.h. */
export const constants = {
  MS_RDONLY: 1,
  MS_NOSUID: 2,
  MS_NODEV: 4,
  MS_NOEXEC: 8,
  MS_SYNCHRONOUS: 16,
  MS_REMOUNT: 32,
  MS_MANDLOCK: 64,
  MS_DIRSYNC: 128,
  MS_NOATIME: 1 << 10,
  MS_NODIRATIME: 1 << 11,
  MS_BIND: 1 << 12,
  MS_REC: 1 << 14,
  MS_RELATIME: 1 << 21,
  MS_STRICTATIME: 1 << 24,
  MNT_DETACH: 2,
} as const;
