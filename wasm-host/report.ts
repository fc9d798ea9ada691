import { writeSync } from "node:fs";

/** One line of the host's own on the guest's stderr, so that `kubectl logs` shows it. A reader that is gone is no reason to fail. */
export function reportLine(stderr: number | undefined, message: string): void {
  if (stderr === undefined) return;
  try {
    writeSync(stderr, `tandem: ${message.split("\n", 1)[0]}\n`);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
  }
}
