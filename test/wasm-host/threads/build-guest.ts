import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const cache = fileURLToPath(new URL("../../../.cache/wasi-guests", import.meta.url));
const sources = ["guest.c", "start.s"];
const linking = ["--import-memory", "--shared-memory", "--max-memory=16777216", "--no-entry"];
const flags = [
  "--target=wasm32",
  "-O1",
  "-g",
  "-matomics",
  "-mbulk-memory",
  "-nostdlib",
  `-Wl,${linking.join(",")}`,
];

/** Path of the module that clang makes of guest.c; kept between runs by what it is made of. */
export function buildThreadGuest(): string {
  const hash = createHash("sha256").update(JSON.stringify(flags));
  for (const source of sources) hash.update(readFileSync(join(here, source)));
  const path = join(cache, `threads-${hash.digest("hex").slice(0, 16)}.wasm`);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  const draft = `${path}.${process.pid}`;
  // Without npm's PATH: clang hands its work to a wasm-opt that it finds, and that one drops the names.
  execFileSync("clang-14", [...flags, ...sources, "-o", draft], {
    cwd: here,
    env: { PATH: "/usr/bin:/bin" },
  });
  renameSync(draft, path);
  return path;
}
