import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A module or component from its text form. */
export function assemble(text: string): Uint8Array {
  const scratch = mkdtempSync(join(tmpdir(), "tandem-wat-"));
  try {
    const output = join(scratch, "out.wasm");
    const build = fileURLToPath(new URL("build.ts", import.meta.url));
    execFileSync(process.execPath, [build, "wat", output], {
      input: text,
      stdio: ["pipe", "ignore", "inherit"],
    });
    return readFileSync(output);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
