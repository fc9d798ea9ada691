import { writeSync } from "node:fs";
import type { GuestSources } from "./debug/source-lookup.ts";
import { trapReport } from "./trap.ts";

/** A line that is nobody's complaint. */
export function writeLine(stderr: number | undefined, line: string): void {
  writeText(stderr, `${line}\n`);
}

/** One line of the host's own on the guest's stderr, so that `kubectl logs` shows it. */
export function reportLine(stderr: number | undefined, message: string): void {
  writeText(stderr, reportedLine(message));
}

/** How `reportLine` writes it. */
export function reportedLine(message: string): string {
  return `tandem: ${message.split("\n", 1)[0]}\n`;
}

/** A trap of the guest's, with its stack, as trap.ts words it. */
export function reportTrap(stderr: number | undefined, error: unknown, sources: GuestSources): void {
  writeText(stderr, trapReport(error, sources));
}

/** All of it, if anybody reads: one that is gone is no reason to fail, the exit status still tells. */
export function writeText(fd: number | undefined, text: string): void {
  if (fd === undefined) return;
  const bytes = Buffer.from(text);
  try {
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
  }
}
