import type { LinuxSeccompArg } from "./seccomp/profile.ts";

/** System calls that a wasm process keeps, and why. */
export interface Allowed {
  readonly why: string;
  readonly names: readonly string[];
  /** All must hold; absent: with any arguments. */
  readonly args?: readonly LinuxSeccompArg[];
}

export function equals(index: number, value: number): LinuxSeccompArg {
  return { index, op: "SCMP_CMP_EQ", value };
}

/** The argument, without the bits that are not in the mask, is this value. */
export function masked(index: number, mask: number, value: number): LinuxSeccompArg {
  return { index, op: "SCMP_CMP_MASKED_EQ", value: mask, valueTwo: value };
}
