import { writeSync } from "node:fs";
import { trapReport } from "./trap.ts";

/** A line that is nobody's complaint. */
export function writeLine(stderr: number | undefined, line: string): void {
  write(stderr, `${line}\n`);
}

/** One line of the host's own on the guest's stderr, so that `kubectl logs` shows it. */
export function reportLine(stderr: number | undefined, message: string): void {
  write(stderr, `tandem: ${message.split("\n", 1)[0]}\n`);
}

/** A trap of the guest's, with its stack, as trap.ts words it; what the host itself refused to do for the guest is a line. */
export function reportTrap(stderr: number | undefined, error: Error): void {
  write(stderr, trapReport(error) ?? `trap: ${error.message.split("\n", 1)[0]}\n`);
}

/** A reader that is gone is no reason to fail. */
function write(fd: number | undefined, text: string): void {
  if (fd === undefined) return;
  try {
    writeSync(fd, text);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
  }
}
