import { renameSync, rmSync, writeFileSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { type Context, clientPath } from "./command.ts";
import type { Flags } from "./flags.ts";

export const pidFileFlags: Flags = {
  "pid-file": { value: "FILE", help: "where to write the pid of the process that is made" },
};

/** What `--pid-file` asks for. @throws TandemError naming the option */
export function writePidFile(context: Context, pid: number): void {
  const file = context.given.text("pid-file");
  if (file === undefined) return;
  const path = clientPath(context, file);
  try {
    // Whoever waits for the file must not read half of it; and the directory may be another's, who put a symlink there.
    rmSync(`${path}.new`, { force: true });
    writeFileSync(`${path}.new`, String(pid), { mode: 0o644, flag: "wx" });
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw TandemError.from(error, "--pid-file");
  }
}
