import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, workerData } from "node:worker_threads";
import type { Native } from "./native-surface.ts";

interface Loaded {
  readonly native: Native;
  readonly path: string;
}

/**
 * The addon. An installed Tandem has it beside its bundle (dist/lib/tandem/tandem.node), a checkout in native/build.
 */
function load(): Loaded {
  const require = createRequire(import.meta.url);
  const here = dirname(fileURLToPath(import.meta.url));
  const candidates = [join(here, "tandem.node"), join(here, "../native/build/Release/tandem.node")];
  const failures: string[] = [];
  for (const path of candidates) {
    try {
      return { native: require(path) as Native, path };
    } catch (error) {
      failures.push(`${path}: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`);
    }
  }
  throw new Error(
    `the native addon cannot be loaded; run \`npm run build:native\`\n  ${failures.join("\n  ")}`,
  );
}

/** What whoever makes a worker puts in its workerData, so that it finds the addon without looking for a file. */
export interface AddonOfWorker {
  /** Where the addon was loaded from: the dynamic linker knows it by that name, and opens nothing. */
  readonly addon: string;
}

function loadAgain({ addon }: AddonOfWorker): Loaded {
  const module: { exports: Partial<Native> } = { exports: {} };
  process.dlopen(module, addon);
  return { native: module.exports as Native, path: addon };
}

function isTold(data: unknown): data is AddonOfWorker {
  return typeof data === "object" && data !== null && "addon" in data;
}

const loaded = !isMainThread && isTold(workerData) ? loadAgain(workerData) : load();

export const native: Native = loaded.native;

/** The file that it came from. */
export const addonPath = loaded.path;
