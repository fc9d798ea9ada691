import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { WasmHost } from "../../wasm-host/isolation.ts";
import { buildId } from "../build-id.ts";
import type { CompilerHost } from "../code/code-compiler.ts";
import { CodeEngine } from "../code/code-engine.ts";
import { CodeStore } from "../code/code-store.ts";
import { GuestCode } from "../code/guest-code.ts";
import { directories, launcherPath } from "../directories.ts";
import { TandemError } from "../errors.ts";
import { readMachine } from "../executor/machine.ts";
import { cgroupLayout } from "../isolation/cgroup/layout.ts";
import { wasmFilters } from "../isolation/wasm-seccomp.ts";
import { createLog, type Log } from "../log.ts";
import { native } from "../native.ts";
import type { ShimHost } from "../shim/shim.ts";
import { type RehearsalParts, rehearse } from "./rehearsal/rehearsal.ts";
import { clearStage } from "./rehearsal/stage.ts";
import type { SpareKinds } from "./spares.ts";

/** What every shim needs and the zygote makes once. */
export function createShimHost(zygoteSocket: string): ShimHost {
  return {
    zygote: { socket: zygoteSocket, launcher: launcherPath },
    containerInit: native.sealExecutable(join(directories.lib, "container-init")),
    log: createLog(),
  };
}

/** What every wasm process needs and the zygote makes once. `scratch` is a directory to mount on meanwhile. */
export function createWasmHost(
  scratch: string,
  code: CompilerHost | undefined,
  { foreignMounts = false } = {},
): WasmHost {
  return {
    emptyMountNamespace: native.createEmptyMountNamespace(scratch),
    filters: wasmFilters(),
    code: code === undefined ? undefined : { forGuest: () => new GuestCode(code.engine, code.store) },
    foreignMounts,
    threadProgram: readThreadProgram(),
  };
}

/** Without it modules are compiled as they are called, and nothing else changes; the log says why. */
export function createCodeHost(log: Log): CompilerHost | undefined {
  const directory = join(directories.state, "code");
  try {
    return { engine: new CodeEngine(buildId()), store: new CodeStore({ directory }), directory, log };
  } catch (error) {
    log.error({ err: TandemError.from(error) }, "no optimised code is kept");
    return undefined;
  }
}

/** A bundle of its own (scripts/build.ts); a checkout has the source. */
function readThreadProgram(): WasmHost["threadProgram"] {
  const source = new URL("../../wasm-host/threads/thread.ts", import.meta.url);
  if (import.meta.url.endsWith(".ts")) return { url: source.href };
  return { text: readFileSync(join(directories.lib, "wasm-thread.cjs"), "utf8") };
}

/** Runs everything that a child will run, so that no child compiles, allocates or reads for the first time. */
export async function warmUp(parts: RehearsalParts, directory: string): Promise<SpareKinds> {
  readFacts();
  try {
    return await rehearse(parts, directory);
  } catch (error) {
    // Without a rehearsal every start is slower and nothing else: containers must run all the same.
    parts.shim.log.log.error({ err: error }, "rehearsal failed, starts will be slow");
    return new Map();
  }
}

/** After a rehearsal that was ended: it would be again. What it held has been taken down (native/launcher/monitor.c). */
export function warmUpUnrehearsed(directory: string): Promise<SpareKinds> {
  readFacts();
  clearStage(directory);
  return Promise.resolve(new Map());
}

/** What does not change while the machine is up, and is kept. */
function readFacts(): void {
  cgroupLayout();
  readMachine();
}

/** For a zygote of the command line only: a rehearsal of pods would be of no use. */
export async function warmUpForOci(): Promise<SpareKinds> {
  readMachine();
  await import("../oci/server.ts");
  return new Map();
}
