import { native } from "../../src/native.ts";
import { limitStatuses } from "../exit.ts";
import type { Limits } from "../grant.ts";
import { reportedLine } from "../report.ts";
import { type LimitReached, limitReached } from "./limit-reached.ts";

/**
 * From now on the process ends when its guest has run for too long, whatever that does: threads of the kernel's watch over it.
 * Processor time is the whole process's, what the guest's compilation took included.
 *
 * @param statusPipe who is told the status (config.ts)
 * @throws errors of the system: there is no thread to be had
 */
export function watchTime({ wallMs, cpuMs }: Limits, statusPipe: number): void {
  const watch = (clock: "monotonic" | "processor", milliseconds: number, reached: LimitReached): void =>
    native.endAfter({
      ...{ clock, milliseconds, statusPipe },
      line: reportedLine(reached.message),
      status: limitStatuses[reached.limit],
    });
  if (wallMs !== undefined) watch("monotonic", wallMs, limitReached("wallMs", `has run for ${wallMs} ms`));
  if (cpuMs !== undefined)
    watch("processor", cpuMs, limitReached("cpuMs", `has used ${cpuMs} ms of processor time`));
}
