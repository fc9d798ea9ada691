import { writeSync } from "node:fs";
import type { GuestSources } from "./debug/source-lookup.ts";
import { usage } from "./limits/usage.ts";
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

/** How long a pipe that is full and does not block is waited for, and how often it is looked at, in milliseconds. */
const patience = { all: 1000, step: 10 };

/** All of it, if anybody reads: one that is gone is no reason to fail, the exit status still tells. */
export function writeText(fd: number | undefined, text: string): void {
  if (fd !== undefined) writeBytes(fd, Buffer.from(text));
}

/** As `writeText`. */
export function writeBytes(fd: number, bytes: Uint8Array): void {
  let waited = 0;
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      if (!(error instanceof Error && "code" in error)) throw error;
      if (error.code !== "EAGAIN" || waited >= patience.all) return;
      Atomics.wait(never, 0, 0, patience.step);
      waited += patience.step;
    }
  }
}

const never = new Int32Array(new SharedArrayBuffer(4));

/** What an export has returned, on stdout: output as any other. */
export function writeResult(fd: number | undefined, text: string): void {
  if (fd !== undefined) usage.output(Buffer.from(text), (bytes) => writeBytes(fd, bytes));
}
