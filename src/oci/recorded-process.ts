import { closeSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { processStat } from "../process-stat.ts";
import type { ContainerRecord } from "./record.ts";

/** A process, by what was recorded of it. */
export type RecordedProcess = Pick<ContainerRecord, "pid" | "startTime">;

/** As it is recorded; "" of a process that has ended. */
export function startTimeOf(pid: number): string {
  return processStat(pid)?.startTime ?? "";
}

/** Whether it is there, and no zombie. */
export function isAlive({ pid, startTime }: RecordedProcess): boolean {
  if (pid === 0) return false;
  const stat = processStat(pid);
  return stat !== undefined && stat.startTime === startTime && stat.state !== "Z" && stat.state !== "X";
}

/** A descriptor of it, which is the caller's; undefined when it has ended. @throws TandemError as pidfd_open(2) fails */
export function openProcess(process: RecordedProcess): number | undefined {
  if (process.pid === 0) return undefined;
  let pidfd: number;
  try {
    pidfd = native.pidfdOpen(process.pid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
    throw TandemError.from(error, `process ${process.pid}`);
  }
  // Its start time after it is open: the number cannot be another's from then on.
  if (isAlive(process)) return pidfd;
  closeSync(pidfd);
  return undefined;
}

/** False when the process is there no more. */
export function sendSignal(pidfd: number, signal: number): boolean {
  try {
    native.pidfdSendSignal(pidfd, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** Resolves with whether the process of a pidfd ends in time. */
export function endsWithin(pidfd: number, timeoutMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const settle = (inTime: boolean): void => {
    clearTimeout(timer);
    stop();
    resolve(inTime);
  };
  const timer = setTimeout(() => settle(false), timeoutMs);
  // It becomes readable then (pidfd_open(2)).
  const stop = native.onReadable(pidfd, () => settle(true));
  return promise;
}
