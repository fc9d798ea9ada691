import type { SpecMount } from "./spec.ts";

const quiet = ["nosuid", "noexec", "nodev"] as const;

/**
 * The mounts that nearly every program expects (runtime-spec, config-linux.md "Default Filesystems"), with the options that
 * containerd's client gives them. /sys wants a network namespace that is the container's own.
 */
export const defaultMounts: readonly (SpecMount & { readonly options: readonly string[] })[] = [
  { destination: "/proc", type: "proc", source: "proc", options: quiet },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  { destination: "/dev/shm", type: "tmpfs", source: "shm", options: [...quiet, "mode=1777", "size=65536k"] },
  { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: quiet },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, "ro"] },
];
