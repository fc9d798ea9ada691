import { createHash } from "node:crypto";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import type { SeccompRule } from "../native-surface.ts";
import { loadFilter, storeFilter } from "./seccomp/cache.ts";
import { enosysStub } from "./seccomp/enosys-stub.ts";
import {
  actionWord,
  architectureTokens,
  argumentValue,
  filterFlags,
  type LinuxSeccomp,
  type LinuxSeccompArg,
  type LinuxSyscall,
  operatorNumber,
  refuseSeccomp,
  usesNotify,
  x32,
  x86_64,
} from "./seccomp/profile.ts";

/** What a process needs to put itself under a profile. */
export interface SeccompFilter {
  /** struct sock_filter[] */
  readonly filter: Buffer;
  /** SECCOMP_FILTER_FLAG_*; NEW_LISTENER is among them when the profile has SCMP_ACT_NOTIFY. */
  readonly flags: number;
  /** Socket that gets the listener's descriptor; present exactly with NEW_LISTENER. */
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
}

/** Of the compiled form. Raise it when what a profile compiles to changes. */
const version = 2;
const maxInstructions = 4096;
const compiled = new Map<string, Buffer>();

/**
 * Compiles `linux.seccomp`. A filter is kept in memory, and in `cacheDirectory` across processes, by the profile's content:
 * libseccomp takes milliseconds for the default profile of CRI.
 *
 * Names of system calls that libseccomp or the architecture does not have are skipped, as every runtime does: profiles name
 * the calls of all architectures and of kernels to come. A call newer than the whole profile fails with ENOSYS
 * (`enosysStub`), unless the default action lets it through.
 *
 * @throws TandemError invalid_argument naming an unknown action, operator, architecture or flag.
 */
export function compileSeccomp(profile: LinuxSeccomp, cacheDirectory: string | undefined): SeccompFilter {
  const flags = filterFlags(profile);
  const listener = listenerOf(profile);
  const key = contentKey(profile);
  let filter =
    compiled.get(key) ?? (cacheDirectory === undefined ? undefined : loadFilter(cacheDirectory, key));
  if (filter === undefined) {
    filter = compileFilter(profile);
    if (cacheDirectory !== undefined) storeFilter(cacheDirectory, key, filter);
  }
  compiled.set(key, filter);
  return { filter, flags, ...listener };
}

function contentKey(profile: LinuxSeccomp): string {
  const { defaultAction, defaultErrnoRet, architectures, syscalls } = profile;
  const content = JSON.stringify(
    [version, process.arch, defaultAction, defaultErrnoRet, architectures, syscalls],
    (_, value) => (typeof value === "bigint" ? `${value}n` : value),
  );
  return createHash("sha256").update(content).digest("hex");
}

function compileFilter(profile: LinuxSeccomp): Buffer {
  const defaultAction = actionWord(profile.defaultAction, profile.defaultErrnoRet, {
    action: "defaultAction",
    errnoRet: "defaultErrnoRet",
  });
  const tokens = architectureTokens(profile.architectures ?? []);
  const rules = (profile.syscalls ?? []).flatMap((syscall, index) =>
    syscallRules(syscall, index, defaultAction),
  );
  let filter: Buffer;
  try {
    filter = native.compileSeccomp({ defaultAction, architectures: tokens, rules });
  } catch (error) {
    throw TandemError.from(error, "linux.seccomp");
  }
  if (!letsThrough(profile.defaultAction))
    filter = Buffer.concat([enosysStub(largestSyscalls(profile, tokens)), filter]);
  if (filter.length > maxInstructions * 8)
    refuseSeccomp("syscalls", `${filter.length / 8} instructions are too many for the kernel`);
  return filter;
}

/** LOG and TRACE let a call through to something that knows better; so does, of course, ALLOW. */
function letsThrough(action: string): boolean {
  return ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].includes(action);
}

function largestSyscalls(profile: LinuxSeccomp, tokens: readonly number[]): Map<number, number> {
  const names = (profile.syscalls ?? []).flatMap((syscall) => syscall.names);
  const largest = new Map<number, number>();
  // The native one first: most calls meet its comparison.
  for (const token of [native.nativeSeccompArchitecture(), ...tokens]) {
    const number = native.largestSyscall(names, token);
    if (number !== undefined) largest.set(token, number);
  }
  // Without an x86_64 section there is nothing for x32 to be part of.
  if (!largest.has(x86_64)) largest.delete(x32);
  return largest;
}

function syscallRules(syscall: LinuxSyscall, index: number, defaultAction: number): SeccompRule[] {
  const property = `syscalls[${index}]`;
  const action = actionWord(syscall.action, syscall.errnoRet, {
    action: `${property}.action`,
    errnoRet: `${property}.errnoRet`,
  });
  if (syscall.names.length === 0) refuseSeccomp(`${property}.names`, "names no system call");
  const alternatives = argumentSets(syscall.args ?? [], property);
  // libseccomp refuses a rule that says what holds anyway.
  if (action === defaultAction) return [];
  return syscall.names.flatMap((name) => alternatives.map((args) => ({ name, action, args })));
}

/**
 * All of a rule's arguments must match. But libseccomp compares an argument once per rule, so where the same one is named
 * twice each becomes a rule of its own, of which one must match: what runc has always made of it, and profiles rely on.
 */
function argumentSets(args: readonly LinuxSeccompArg[], property: string): SeccompRule["args"][] {
  const comparisons = args.map((arg, index) => {
    const name = `${property}.args[${index}]`;
    if (!Number.isInteger(arg.index) || arg.index < 0 || arg.index > 5)
      refuseSeccomp(name, `index ${arg.index} is not 0 to 5`);
    return {
      index: arg.index,
      op: operatorNumber(arg.op, `${name}.op`),
      value: argumentValue(arg.value, `${name}.value`),
      valueTwo: argumentValue(arg.valueTwo ?? 0, `${name}.valueTwo`),
    };
  });
  const isRepeated = new Set(comparisons.map(({ index }) => index)).size < comparisons.length;
  return isRepeated ? comparisons.map((comparison) => [comparison]) : [comparisons];
}

function listenerOf(profile: LinuxSeccomp): { listenerPath?: string; listenerMetadata?: string } {
  if (profile.defaultAction === "SCMP_ACT_NOTIFY")
    refuseSeccomp("defaultAction", "SCMP_ACT_NOTIFY leaves nobody to pass the listener on");
  if (!profile.listenerPath && profile.listenerMetadata)
    refuseSeccomp("listenerMetadata", "is for whom listenerPath leads to, which is missing");
  if (!usesNotify(profile)) return {};
  const writes = profile.syscalls?.some(
    ({ action, names }) => action === "SCMP_ACT_NOTIFY" && names.includes("write"),
  );
  // container-init itself writes between loading the filter and handing over the listener; it would wait for itself.
  if (writes === true) refuseSeccomp("syscalls", "SCMP_ACT_NOTIFY cannot be used for write");
  if (!profile.listenerPath) refuseSeccomp("listenerPath", "missing, but an action is SCMP_ACT_NOTIFY");
  return { listenerPath: profile.listenerPath, listenerMetadata: profile.listenerMetadata ?? "" };
}
