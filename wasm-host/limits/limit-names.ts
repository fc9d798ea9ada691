import type { Limits } from "../grant.ts";

/** A limit of a grant. */
export type LimitName = keyof Limits;

/** By what name people set each limit: where wasmtime has an option for it, by that option's (src/grant/settings.ts, docs/grant.md). */
export const limitNames = {
  memoryBytes: "max-memory-size",
  tableElements: "max-table-elements",
  instances: "max-instances",
  cpuMs: "cpu-time",
  wallMs: "timeout",
  openFiles: "max-open-files",
  outputBytes: "max-output",
} as const satisfies Readonly<Record<LimitName, string>>;

export function isLimitName(name: unknown): name is LimitName {
  return typeof name === "string" && Object.hasOwn(limitNames, name);
}
