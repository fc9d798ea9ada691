import type { SpecProcess } from "../bundle/spec.ts";
import { shown, TandemError } from "../errors.ts";
import type { StepOf } from "./steps.ts";

/** Capabilities in the order of linux/capability.h; the index is the number. */
const names = [
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "LINUX_IMMUTABLE",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_ADMIN",
  "NET_RAW",
  "IPC_LOCK",
  "IPC_OWNER",
  "SYS_MODULE",
  "SYS_RAWIO",
  "SYS_CHROOT",
  "SYS_PTRACE",
  "SYS_PACCT",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_NICE",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "MKNOD",
  "LEASE",
  "AUDIT_WRITE",
  "AUDIT_CONTROL",
  "SETFCAP",
  "MAC_OVERRIDE",
  "MAC_ADMIN",
  "SYSLOG",
  "WAKE_ALARM",
  "BLOCK_SUSPEND",
  "AUDIT_READ",
  "PERFMON",
  "BPF",
  "CHECKPOINT_RESTORE",
] as const;

const bits: ReadonlyMap<string, bigint> = new Map(
  names.map((name, index) => [`CAP_${name}`, 1n << BigInt(index)]),
);

/** Names of what this build understands, for `features`. */
export const knownCapabilities: readonly string[] = [...bits.keys()];

/** The sets of a process as masks. Without `capabilities` all are empty, as the spec has it. */
export interface CapabilityMasks {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
}

/**
 * @param available what the runtime itself has (CapBnd of /proc/self/status): sets are cut to it, since a container that asks
 * for all capabilities (Kubernetes `privileged`) asks for all there are here
 */
export function capabilityMasks(
  capabilities: SpecProcess["capabilities"],
  available: bigint,
): CapabilityMasks {
  const mask = (set: keyof NonNullable<SpecProcess["capabilities"]>): bigint => {
    let result = 0n;
    for (const name of capabilities?.[set] ?? []) result |= bits.get(name) ?? 0n;
    return result & available;
  };
  const permitted = mask("permitted");
  const inheritable = mask("inheritable");
  return {
    bounding: mask("bounding"),
    effective: mask("effective") & permitted,
    permitted,
    inheritable,
    // The kernel allows as ambient only what is permitted and inheritable, capabilities(7).
    ambient: mask("ambient") & permitted & inheritable,
  };
}

const sets = ["bounding", "effective", "permitted", "inheritable", "ambient"] as const;

/**
 * What is named as a capability and is none: to be warned of, as the container is to start without it (runtime-spec, config.md
 * "capabilities").
 */
export function capabilityWarnings(capabilities: SpecProcess["capabilities"]): TandemError[] {
  // Properties of other names are ignored (runtime-spec, config.md "Extensibility").
  return sets.flatMap((set) =>
    (capabilities?.[set] ?? []).flatMap((name, index) =>
      bits.has(name)
        ? []
        : [
            new TandemError(
              "invalid_argument",
              `process.capabilities.${set}[${index}]: ${shown(name)} is no capability; left out`,
            ),
          ],
    ),
  );
}

export function boundingStep(masks: CapabilityMasks): StepOf<"bounding"> {
  return { op: "bounding", property: "process.capabilities.bounding", keep: masks.bounding };
}

export function capabilitiesStep(masks: CapabilityMasks): StepOf<"capabilities"> {
  const { effective, permitted, inheritable, ambient } = masks;
  return { op: "capabilities", property: "process.capabilities", effective, permitted, inheritable, ambient };
}
