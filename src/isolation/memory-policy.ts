import type { SpecMemoryPolicy } from "../bundle/spec.ts";
import { shown, TandemError } from "../errors.ts";
import { bitsOf } from "./number-list.ts";
import type { StepOf } from "./steps.ts";

/** MPOL_* of linux/mempolicy.h, and how many nodes each may have. */
const modes = {
  MPOL_DEFAULT: { value: 0, nodes: "none" },
  MPOL_PREFERRED: { value: 1, nodes: "any" },
  MPOL_BIND: { value: 2, nodes: "some" },
  MPOL_INTERLEAVE: { value: 3, nodes: "some" },
  MPOL_LOCAL: { value: 4, nodes: "none" },
  MPOL_PREFERRED_MANY: { value: 5, nodes: "some" },
  MPOL_WEIGHTED_INTERLEAVE: { value: 6, nodes: "some" },
} as const;

const flags = {
  MPOL_F_NUMA_BALANCING: 1 << 13,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_STATIC_NODES: 1 << 15,
} as const;

/** Names of what this build understands, for `features`. */
export const knownMemoryModes = Object.keys(modes) as readonly (keyof typeof modes)[];
export const knownMemoryFlags = Object.keys(flags) as readonly (keyof typeof flags)[];

/**
 * `linux.memoryPolicy` (runtime-spec 1.3, config-linux.md "Memory policy"): for init and, like everything that a process
 * inherits, for each exec.
 *
 * @throws TandemError invalid_argument naming the property; what this machine's kernel or nodes lack, only it can say
 */
export function memoryPolicySteps(policy: SpecMemoryPolicy | undefined): StepOf<"memoryPolicy">[] {
  if (policy === undefined) return [];
  const property = "linux.memoryPolicy";
  const mode = knownMemoryModes.find((name) => name === policy.mode);
  if (mode === undefined) refuse(`${property}.mode`, `unknown ${shown(policy.mode)}`);
  const list = policy.nodes ?? "";
  const wanted = modes[mode].nodes;
  if (wanted === "none" && list !== "") refuse(`${property}.nodes`, `${mode} takes none`);
  if (wanted === "some" && list === "") refuse(`${property}.nodes`, `${mode} needs at least one`);
  let value: number = modes[mode].value;
  for (const name of policy.flags ?? []) {
    const known = knownMemoryFlags.find((flag) => flag === name);
    if (known === undefined) refuse(`${property}.flags`, `unknown ${shown(name)}`);
    value |= flags[known];
  }
  const nodes = list === "" ? Buffer.alloc(0) : bitsOf(list, `${property}.nodes`, "memory nodes");
  return [{ op: "memoryPolicy", property, mode: value, nodes }];
}

function refuse(property: string, reason: string): never {
  throw new TandemError("invalid_argument", `${property}: ${reason}`);
}
