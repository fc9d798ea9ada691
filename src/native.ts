import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Native } from "./native-surface.ts";

/**
 * The addon. An installed Tandem has it beside its bundle (dist/lib/tandem/tandem.node), a checkout in native/build.
 */
function load(): Native {
  const require = createRequire(import.meta.url);
  const here = dirname(fileURLToPath(import.meta.url));
  const candidates = [join(here, "tandem.node"), join(here, "../native/build/Release/tandem.node")];
  const failures: string[] = [];
  for (const path of candidates) {
    try {
      return require(path) as Native;
    } catch (error) {
      failures.push(`${path}: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`);
    }
  }
  throw new Error(
    `the native addon cannot be loaded; run \`npm run build:native\`\n  ${failures.join("\n  ")}`,
  );
}

export const native: Native = load();
