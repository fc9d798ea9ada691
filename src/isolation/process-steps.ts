import type { Spec, SpecProcess } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import { boundingStep, capabilitiesStep, capabilityMasks } from "./capabilities.ts";
import { memoryPolicySteps } from "./memory-policy.ts";
import { rlimitSteps } from "./rlimits.ts";
import { schedulingSteps } from "./scheduling.ts";
import type { Step } from "./steps.ts";

/** What seccomp.ts makes of `linux.seccomp`. */
export interface CompiledSeccomp {
  /** struct sock_filter[] */
  readonly filter: Uint8Array;
  /** SECCOMP_FILTER_FLAG_* */
  readonly flags: number;
}

/** The machine, as far as it decides what a process can have. */
export interface Machine {
  readonly apparmor: boolean;
  readonly selinux: boolean;
  /** CapBnd of the runtime. */
  readonly capabilities: bigint;
}

export interface ProcessContext {
  readonly machine: Machine;
  readonly seccomp: CompiledSeccomp | undefined;
  /** setgroups(2) may be forbidden in a user namespace that an unprivileged user mapped, user_namespaces(7). */
  readonly canSetGroups: boolean;
}

/** A session and a keyring of its own, as root of its user namespace if it is in one. */
export function sessionSteps(userNamespace: boolean, context: { readonly noNewKeyring: boolean }): Step[] {
  const steps: Step[] = [];
  if (userNamespace) steps.push({ op: "becomeRoot", property: "linux.uidMappings" });
  steps.push({ op: "session", property: "" });
  if (!context.noNewKeyring) steps.push({ op: "keyring", property: "" });
  return steps;
}

/** LSM labels; before pivot_root, so that they are written to the machine's own /proc. */
export function labelSteps(process: SpecProcess, machine: Machine): Step[] {
  const steps: Step[] = [];
  const { apparmorProfile = "", selinuxLabel = "" } = process;
  if (apparmorProfile !== "" && !(apparmorProfile === "unconfined" && !machine.apparmor)) {
    const property = "process.apparmorProfile";
    if (!machine.apparmor)
      throw new TandemError("failed_precondition", `${property}: AppArmor is not enabled on this machine`);
    steps.push({
      op: "label",
      property,
      file: "/proc/self/attr/apparmor/exec",
      value: `exec ${apparmorProfile}`,
    });
  }
  if (selinuxLabel !== "") {
    const property = "process.selinuxLabel";
    if (!machine.selinux)
      throw new TandemError("failed_precondition", `${property}: SELinux is not enabled on this machine`);
    steps.push({ op: "label", property, file: "/proc/self/attr/exec", value: selinuxLabel });
  }
  return steps;
}

/** What init hands down to its children, and an exec, which is none of them, has to get as well. */
export function inheritedSteps(linux: Spec["linux"]): Step[] {
  const steps: Step[] = [...memoryPolicySteps(linux?.memoryPolicy)];
  if (linux?.personality !== undefined) {
    const persona = linux.personality.domain === "LINUX32" ? 8 : 0;
    steps.push({ op: "personality", property: "linux.personality", persona });
  }
  return steps;
}

/** From a root of its own to "created": everything that the process gives up, in the order in which it still may. */
export function identitySteps(process: SpecProcess, context: ProcessContext): Step[] {
  const uid = process.user?.uid ?? 0;
  const masks = capabilityMasks(process.capabilities, context.machine.capabilities);
  const args = process.args ?? [];
  const file = args[0];
  if (file === undefined) throw new TandemError("invalid_argument", "process.args: names no program");
  if (file === "") throw new TandemError("invalid_argument", "process.args[0]: names no program");
  refuseLong(args, "process.args");
  refuseLong(process.env ?? [], "process.env");
  const steps: Step[] = [...schedulingSteps(process), ...rlimitSteps(process.rlimits)];
  // The machine's default, not the runtime's: containers of every runtime start with it.
  steps.push({ op: "umask", property: "process.user.umask", mask: process.user?.umask ?? 0o022 });
  if (process.terminal !== true) steps.push({ op: "stdioOwner", property: "process.user.uid", uid });
  steps.push(boundingStep(masks));
  // Without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes before the capabilities go, as with runc.
  if (process.noNewPrivileges !== true) steps.push(...seccompSteps(context.seccomp));
  steps.push(
    {
      op: "user",
      property: "process.user",
      uid,
      gid: process.user?.gid ?? 0,
      groups: toUint32s(process.user?.additionalGids ?? []),
      mayBeDenied: !context.canSetGroups && (process.user?.additionalGids ?? []).length === 0,
    },
    capabilitiesStep(masks),
    { op: "cwd", property: "process.cwd", path: process.cwd, ahead: false, make: false },
    { op: "lookup", property: "", file, env: lastOfEach(process.env ?? []) },
  );
  return steps;
}

/** MAX_ARG_STRLEN, linux/binfmts.h, without the NUL. */
const LONGEST_ARGUMENT = 131_071;

/** Here, because execve(2) would only say so when the container is started, and not which one. */
function refuseLong(values: readonly string[], property: string): void {
  for (const [index, value] of values.entries()) {
    // Three bytes a UTF-16 unit are the most that UTF-8 takes.
    if (value.length * 3 <= LONGEST_ARGUMENT || Buffer.byteLength(value) <= LONGEST_ARGUMENT) continue;
    const message = `${property}[${index}]: longer than the ${LONGEST_ARGUMENT} bytes that the kernel takes`;
    throw new TandemError("invalid_argument", message);
  }
}

/** From "start" to the program. */
export function execSteps(process: SpecProcess, context: ProcessContext): Step[] {
  const steps: Step[] = [];
  const env = lastOfEach(process.env ?? []);
  if (process.noNewPrivileges === true) {
    steps.push(
      { op: "noNewPrivileges", property: "process.noNewPrivileges" },
      ...seccompSteps(context.seccomp),
    );
  }
  steps.push({ op: "exec", property: "", args: process.args ?? [], env });
  return steps;
}

/** A variable that is there twice is the later one: programs differ in which of two they take. */
function lastOfEach(env: readonly string[]): string[] {
  return [...new Map(env.map((entry) => [entry.split("=", 1)[0], entry])).values()];
}

function seccompSteps(seccomp: CompiledSeccomp | undefined): Step[] {
  return seccomp === undefined
    ? []
    : [{ op: "seccomp", property: "linux.seccomp", flags: seccomp.flags, filter: seccomp.filter }];
}

/**
 * The console of a process with a terminal.
 *
 * @param options bind: to /dev/console of a new container; relayed: what comes out of it goes on to another terminal, which puts the
 * carriage returns in, or to a pipe, whose reader wants none
 */
export function consoleSteps(
  process: SpecProcess,
  options: { readonly bind: boolean; readonly relayed: boolean },
): Step[] {
  if (process.terminal !== true) return [];
  return [
    {
      op: "console",
      property: "process.terminal",
      height: process.consoleSize?.height ?? 0,
      width: process.consoleSize?.width ?? 0,
      uid: process.user?.uid ?? 0,
      ...options,
    },
  ];
}

function toUint32s(values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}
