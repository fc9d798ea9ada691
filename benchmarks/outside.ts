import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { clearCgroups } from "./cgroups.ts";
import { runInPrivateMounts } from "./private-mounts.ts";

/** Runs this command line once more, `--inside` a directory and mounts of its own, and clears up after it. @returns its exit status */
export async function runOutside(program: string): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error("containers need root here: run it as root");
  const directory = mkdtempSync(join(tmpdir(), "tandem-bench-"));
  try {
    return await runInPrivateMounts(program, [...process.argv.slice(2), "--inside", directory]);
  } finally {
    await clearCgroups(basename(directory));
    rmSync(directory, { recursive: true, force: true });
  }
}
