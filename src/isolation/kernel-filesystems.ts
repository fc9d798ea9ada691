import { statfsSync } from "node:fs";

/**
 * The kernel's own file systems, by their type of mount(2), with the number that statfs(2) has for them (linux/magic.h): what is in
 * them is no data but the machine's workings, so no guest gets them (native/addon/kernel_mounts.cc). Not devtmpfs: a device in it cannot be opened (MOUNT_ATTR_NODEV).
 */
export const kernelFilesystems: ReadonlyMap<string, number> = new Map([
  ["proc", 0x9fa0],
  ["sysfs", 0x62656572],
  ["cgroup", 0x27e0eb],
  ["cgroup2", 0x63677270],
  ["devpts", 0x1cd1],
  ["mqueue", 0x19800202],
  ["hugetlbfs", 0x958458f6],
  ["debugfs", 0x64626720],
  ["tracefs", 0x74726163],
  ["bpf", 0xcafe4a11],
  ["securityfs", 0x73636673],
  ["configfs", 0x62656570],
  ["fusectl", 0x65735543],
  ["binfmt_misc", 0x42494e4d],
  ["efivarfs", 0xde5e81e4],
  ["selinuxfs", 0xf97cff8c],
  ["smackfs", 0x43415d53],
  ["pstore", 0x6165676c],
  ["resctrl", 0x7655821],
]);

export function isKernelFilesystem(type: string): boolean {
  return kernelFilesystems.has(type);
}

/** The type of the kernel's own file system that the path leads to; undefined when it leads to another. */
export function kernelFilesystemAt(path: string): string | undefined {
  // Some of the numbers have their highest bit set.
  const number = statfsSync(path).type >>> 0;
  return [...kernelFilesystems].find(([, magic]) => magic === number)?.[0];
}
