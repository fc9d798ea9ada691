import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toSpec } from "../container/spec.ts";

/** Mounts that a container of the kind "mounts" has besides the usual ones. */
export const EXTRA_MOUNTS = 50;

/** What a container is asked to do, and with how much around it. */
export type Kind = "true" | "mounts" | "idle";

const argumentsOf: Readonly<Record<Kind, readonly string[]>> = {
  true: ["/bin/true"],
  mounts: ["/bin/true"],
  idle: ["/bin/sleep", "86400"],
};

/** A root file system of one static busybox, with a directory for each of the extra mounts. */
export function createRootfs(directory: string): void {
  for (const name of ["bin", "dev", "etc", "proc", "run", "sys", "tmp"])
    mkdirSync(join(directory, name), { recursive: true });
  for (let index = 0; index < EXTRA_MOUNTS; index++)
    mkdirSync(join(directory, `mnt/${index}`), { recursive: true });
  copyFileSync("/bin/busybox", join(directory, "bin/busybox"));
  for (const applet of ["true", "sleep", "sh"]) symlinkSync("busybox", join(directory, "bin", applet));
}

export interface BundleRequest {
  readonly directory: string;
  readonly kind: Kind;
  readonly rootfs: string;
  readonly cgroupsPath: string;
}

/** Writes a bundle: `ctr run`'s config.json, for "mounts" with binds and a seccomp profile like those of a pod. */
export function createBundle({ directory, kind, rootfs, cgroupsPath }: BundleRequest): void {
  mkdirSync(directory, { recursive: true });
  const spec = toSpec({ args: argumentsOf[kind], cgroupsPath });
  const { mounts, linux } = spec;
  const binds = Array.from({ length: EXTRA_MOUNTS }, (_, index) => ({
    destination: `/mnt/${index}`,
    type: "bind",
    source: join(rootfs, `mnt/${index}`),
    options: ["rbind", "ro", "nosuid", "nodev"],
  }));
  const large = { mounts: [...mounts, ...binds], linux: { ...linux, seccomp: largeProfile() } };
  const config = { ...spec, root: { path: rootfs }, ...(kind === "mounts" ? large : {}) };
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
}

const architectures: Readonly<Record<string, readonly string[]>> = {
  x64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  arm64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
};

/** Calls that the profiles of engines leave out or allow by argument only. */
const special = new Set(
  "acct add_key bpf clone clone3 create_module delete_module finit_module get_kernel_syms init_module ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mount move_pages name_to_handle_at nfsservctl open_by_handle_at perf_event_open personality pivot_root ptrace query_module quotactl reboot request_key set_mempolicy setns settimeofday swapoff swapon sysfs umount2 unshare uselib userfaultfd ustat vm86 vm86old socket".split(
    " ",
  ),
);

/**
 * A seccomp profile of the size and shape of the engines' default ones: some three hundred and fifty calls allowed by name, some by
 * argument, an errno for the rest, for every architecture of the machine.
 */
export function largeProfile() {
  const clone = [{ index: 0, value: 2114060288, op: "SCMP_CMP_MASKED_EQ" }];
  const personalities = [0, 8, 131072, 131080, 4294967295];
  const notVsock = [{ index: 0, value: 40, op: "SCMP_CMP_NE" }];
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    architectures: architectures[process.arch],
    syscalls: [
      { names: callNames().filter((name) => !special.has(name)), action: "SCMP_ACT_ALLOW" },
      { names: ["clone"], action: "SCMP_ACT_ALLOW", args: clone },
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
      { names: ["socket"], action: "SCMP_ACT_ALLOW", args: notVsock },
      ...personalities.map((value) => ({
        names: ["personality"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value, op: "SCMP_CMP_EQ" }],
      })),
    ],
  };
}

/** The names of the machine's system calls, as its C headers have them. */
function callNames(): string[] {
  const { stdout, status } = spawnSync(
    "cc",
    ["-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
    {
      encoding: "utf8",
    },
  );
  if (status !== 0) throw new Error("cc knows no system calls");
  return [...stdout.matchAll(/^#define SYS_(\w+) /gm)].map(([, name = ""]) => name).sort();
}
