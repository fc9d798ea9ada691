import { TandemError } from "../../errors.ts";

/** `linux.seccomp` of config.json (runtime-spec 1.3, config-linux.md "Seccomp"). */
export interface LinuxSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly LinuxSyscall[];
}

export interface LinuxSyscall {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly LinuxSeccompArg[];
}

export interface LinuxSeccompArg {
  readonly index: number;
  readonly value: number | bigint;
  readonly valueTwo?: number | bigint;
  readonly op: string;
}

const EPERM = 1;

/** SECCOMP_RET_* of linux/seccomp.h; the low 16 bits are the data of ERRNO and TRACE. */
const actions: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
};

/** enum scmp_compare of seccomp.h. */
const operators: Readonly<Record<string, number>> = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
};

export const x86_64 = 0xc000003e;
export const x32 = 0x4000003e;

/** libseccomp's tokens: AUDIT_ARCH_* of linux/audit.h, and one of its own for x32, which the kernel reports as x86_64. */
const architectures: Readonly<Record<string, number>> = {
  SCMP_ARCH_X86: 0x40000003,
  SCMP_ARCH_X86_64: x86_64,
  SCMP_ARCH_X32: x32,
  SCMP_ARCH_ARM: 0x40000028,
  SCMP_ARCH_AARCH64: 0xc00000b7,
  SCMP_ARCH_LOONGARCH64: 0xc0000102,
  SCMP_ARCH_M68K: 0x00000004,
  SCMP_ARCH_MIPS: 0x00000008,
  SCMP_ARCH_MIPS64: 0x80000008,
  SCMP_ARCH_MIPS64N32: 0xa0000008,
  SCMP_ARCH_MIPSEL: 0x40000008,
  SCMP_ARCH_MIPSEL64: 0xc0000008,
  SCMP_ARCH_MIPSEL64N32: 0xe0000008,
  SCMP_ARCH_PARISC: 0x0000000f,
  SCMP_ARCH_PARISC64: 0x8000000f,
  SCMP_ARCH_PPC: 0x00000014,
  SCMP_ARCH_PPC64: 0x80000015,
  SCMP_ARCH_PPC64LE: 0xc0000015,
  SCMP_ARCH_RISCV64: 0xc00000f3,
  SCMP_ARCH_S390: 0x00000016,
  SCMP_ARCH_S390X: 0x80000016,
  SCMP_ARCH_SH: 0x4000002a,
  SCMP_ARCH_SHEB: 0x0000002a,
};

/** By those of Node: what a kernel of it can be asked by. */
const families: Readonly<Record<string, readonly string[]>> = {
  x64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  arm64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
};

const tsyncFlag = 1 << 0;
const specAllowFlag = 1 << 2;
const waitKillableFlag = 1 << 5;

/** SECCOMP_FILTER_FLAG_* of linux/seccomp.h. */
const flags: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: tsyncFlag,
  SECCOMP_FILTER_FLAG_LOG: 1 << 1,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: specAllowFlag,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: waitKillableFlag,
};
const newListenerFlag = 1 << 3;

/** Names of what this build understands, for `features`. */
export const knownActions = Object.keys(actions).sort();
export const knownOperators = Object.keys(operators).sort();
export const knownArchitectures = Object.keys(architectures).sort();
export const knownFlags = Object.keys(flags).sort();

/** @throws TandemError invalid_argument, always. */
export function refuseSeccomp(property: string, reason: string): never {
  throw new TandemError("invalid_argument", `linux.seccomp.${property}: ${reason}`);
}

function look(table: Readonly<Record<string, number>>, name: string, property: string): number {
  const value = Object.hasOwn(table, name) ? table[name] : undefined;
  return value ?? refuseSeccomp(property, `unknown ${JSON.stringify(name)}`);
}

/** The word that the filter returns. Without an errno, ERRNO and TRACE carry EPERM, as with runc. */
export function actionWord(
  action: string,
  errnoRet: number | undefined,
  property: { readonly action: string; readonly errnoRet: string },
): number {
  const word = look(actions, action, property.action);
  if (action !== "SCMP_ACT_ERRNO" && action !== "SCMP_ACT_TRACE") {
    if (errnoRet !== undefined) refuseSeccomp(property.errnoRet, `${action} takes no errno`);
    return word;
  }
  const errno = errnoRet ?? EPERM;
  if (!Number.isInteger(errno) || errno < 0 || errno > 0xffff)
    refuseSeccomp(property.errnoRet, `errno ${errno} does not fit`);
  return word | errno;
}

/**
 * Profiles name the architectures of every machine. Of one that this machine's kernel does not have there is no system call
 * to judge, and libseccomp refuses those of another byte order, or does not know them.
 */
export function architectureTokens(names: readonly string[]): number[] {
  return names.flatMap((name, index) => {
    const token = look(architectures, name, `architectures[${index}]`);
    return families[process.arch]?.includes(name) === false ? [] : [token];
  });
}

export function operatorNumber(name: string, property: string): number {
  return look(operators, name, property);
}

/**
 * SECCOMP_FILTER_FLAG_*. Without `flags`, SPEC_ALLOW is on as with runc: the mitigation that its absence brings made
 * programs up to a third slower, and the kernel itself has dropped it since 5.16.
 */
export function filterFlags(profile: LinuxSeccomp): number {
  if (profile.flags === undefined) return specAllowFlag | listenerFlag(profile);
  let bits = listenerFlag(profile);
  for (const [index, name] of profile.flags.entries()) bits |= look(flags, name, `flags[${index}]`);
  // The kernel refuses what has no meaning: to wait for an agent that there is not, or, for a process of one thread, to have all of
  // them under the filter beside a listener. libseccomp drops them likewise.
  return bits & ~(usesNotify(profile) ? tsyncFlag : waitKillableFlag);
}

function listenerFlag(profile: LinuxSeccomp): number {
  return usesNotify(profile) ? newListenerFlag : 0;
}

export function usesNotify(profile: LinuxSeccomp): boolean {
  return profile.syscalls?.some(({ action }) => action === "SCMP_ACT_NOTIFY") === true;
}

/** A 64-bit argument. Beyond 2^53 a number may have been rounded, and a rounded rule would be another rule. */
export function argumentValue(value: number | bigint, property: string): bigint {
  if (typeof value === "bigint") return value;
  if (!Number.isSafeInteger(value) || value < 0) refuseSeccomp(property, `${value} cannot be read exactly`);
  return BigInt(value);
}
