import { posix } from "node:path";
import type { Spec, SpecMount } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import { parseOptions } from "../isolation/mount-options.ts";

/** Profiles that engines put on every container; each allows more than the wall of a wasm process does (docs/grant.md). */
const defaultProfiles = new Set([
  "",
  "unconfined",
  "cri-containerd.apparmor.d",
  "docker-default",
  "nerdctl-default",
]);

/** What Docker sets for every container: who may send pings and bind low ports. A guest can do neither. */
const withoutMeaning = new Set(["net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"]);

/** Options with which a guest gets no more than it has: the rest of a mount's nature is the wall's (native/addon/isolate.cc). */
const mountOptions = new Set([
  ...["bind", "rbind", "defaults", "ro", "rro", "rw", "rrw", "async"],
  ...["nosuid", "suid", "nodev", "dev", "noexec", "exec", "rnosuid", "rnodev", "rnoexec"],
  ...["noatime", "atime", "nodiratime", "diratime", "relatime", "norelatime", "strictatime", "nostrictatime"],
  ...["private", "rprivate", "unbindable", "runbindable"],
]);
const tmpfsOption = /^(size|mode|uid|gid|nr_inodes|nr_blocks)=/;

/**
 * Refuses what config.json asks for and a wasm container cannot have. What it leaves out by nature (devices, capabilities, a
 * seccomp profile, /proc) is no error as long as the guest ends up with less than was asked for, not with more.
 *
 * @throws TandemError unimplemented, naming the property
 */
export function refuseForWasm(spec: Spec): void {
  const { hooks, linux, process } = spec;
  if ((spec.domainname ?? "") !== "") refuse("domainname");
  for (const kind of ["createContainer", "startContainer"] as const) {
    if ((hooks?.[kind] ?? []).length > 0) refuse(`hooks.${kind}`);
  }
  for (const key of ["scheduler", "ioPriority", "execCPUAffinity", "selinuxLabel"] as const) {
    if (isGiven(process?.[key])) refuse(`process.${key}`);
  }
  if (!defaultProfiles.has(process?.apparmorProfile ?? "")) {
    refuse(`process.apparmorProfile ${process?.apparmorProfile}`);
  }
  for (const key of [
    "uidMappings",
    "gidMappings",
    "timeOffsets",
    "devices",
    "mountLabel",
    "intelRdt",
    "personality",
    "netDevices",
    "memoryPolicy",
  ] as const) {
    if (isGiven(linux?.[key])) refuse(`linux.${key}`);
  }
  for (const name of Object.keys(linux?.sysctl ?? {})) {
    if (!withoutMeaning.has(name)) refuse(`linux.sysctl.${name}`);
  }
  // Below the kernel's file systems there is nothing to hide: a guest does not have them.
  for (const key of ["maskedPaths", "readonlyPaths"] as const) {
    const path = linux?.[key]?.find((one) => !/^\/(proc|sys)(\/|$)/.test(posix.normalize(one)));
    if (path !== undefined) refuse(`linux.${key} ${path}`);
  }
  if (linux?.rootfsPropagation?.endsWith("shared") === true) refuse("linux.rootfsPropagation shared");
  for (const [index, mount] of (spec.mounts ?? []).entries()) {
    refuseMount(mount, `mounts[${index}] ${mount.destination}`);
  }
}

function refuseMount(mount: SpecMount, property: string): void {
  const { type, options = [] } = mount;
  const bind = parseOptions(options).bind || type === "bind";
  // What is neither bound nor a tmpfs is the kernel's, and not granted at all.
  if (!bind && type !== "tmpfs") return;
  if (isGiven(mount.uidMappings) || isGiven(mount.gidMappings)) refuse(`${property}: uidMappings`);
  const option = options.find((one) => !mountOptions.has(one) && (bind || !tmpfsOption.test(one)));
  if (option !== undefined) refuse(`${property}: option ${option}`);
}

/** Go writes what is unset as an empty string, list or map. */
function isGiven(value: string | object | undefined): boolean {
  if (value === undefined || value === "") return false;
  return typeof value === "string" || Object.keys(value).length > 0;
}

function refuse(what: string): never {
  throw new TandemError("unimplemented", `${what}: not for a wasm container`);
}
