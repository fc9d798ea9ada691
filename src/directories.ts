import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Where Tandem keeps things. Root's environment decides, the defaults are the usual places; read here and nowhere else.
 * `run` is lost at reboot, `state` holds caches that may be deleted at any time.
 */
export const directories = {
  run: process.env["TANDEM_RUN_DIR"] ?? "/run/tandem",
  state: process.env["TANDEM_STATE_DIR"] ?? "/var/lib/tandem",
  /** What is installed beside the bundle; in a checkout, the native build. */
  lib: libDirectory(),
} as const;

function libDirectory(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return here.endsWith("/src") ? join(here, "../native/build/Release") : here;
}

/** The launcher: dist/bin beside dist/lib/tandem. */
export const launcherPath = join(
  directories.lib,
  directories.lib.endsWith("/Release") ? "." : "../../bin",
  "containerd-shim-tandem-v1",
);
