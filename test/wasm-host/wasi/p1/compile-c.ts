import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const cache = fileURLToPath(new URL("../../../../.cache/wasi-guests", import.meta.url));

/** Path of the module that clang and wasi-libc make of a C program; kept between runs by the program's digest. */
export function compileC(source: string, flags: readonly string[] = ["-O1"]): string {
  const digest = createHash("sha256")
    .update(JSON.stringify([source, flags]))
    .digest("hex")
    .slice(0, 16);
  const path = join(cache, `${digest}.wasm`);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  const draft = `${path}.${process.pid}`;
  execFileSync("clang-14", ["--target=wasm32-wasi", "-x", "c", "-", "-o", draft, ...flags], {
    input: source,
  });
  renameSync(draft, path);
  return path;
}
