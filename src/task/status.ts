import { TandemError } from "../errors.ts";

/** The life of a process. `paused` is only ever a container's init. */
export type Status = "created" | "running" | "paused" | "stopped";

/** What may be asked of a process, and in which states (shim-protocol §3.1). */
const allowed = {
  start: ["created"],
  exec: ["running"],
  kill: ["created", "running", "paused"],
  pause: ["running"],
  resume: ["paused"],
  update: ["created", "running", "paused"],
  checkpoint: ["running", "paused"],
  delete: ["created", "stopped"],
} as const satisfies Record<string, readonly Status[]>;

export type Action = keyof typeof allowed;

/** @throws TandemError failed_precondition, naming the process, its state and what was asked. */
export function assertCan(action: Action, status: Status, subject: string): void {
  if ((allowed[action] as readonly Status[]).includes(status)) return;
  throw new TandemError("failed_precondition", `${subject}: cannot ${action} in state ${status}`);
}
