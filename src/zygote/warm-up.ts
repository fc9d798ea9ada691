import { join } from "node:path";
import type { WasmHost } from "../../wasm-host/isolation.ts";
import { readMachine } from "../executor/machine.ts";
import { cgroupLayout } from "../isolation/cgroup/layout.ts";
import { createLog } from "../log.ts";
import { wasmFilter } from "../isolation/wasm-seccomp.ts";
import { native } from "../native.ts";
import { directories, launcherPath } from "../directories.ts";
import type { ShimHost } from "../shim/shim.ts";
import { rehearse } from "./rehearsal.ts";

/** What every shim needs and the zygote makes once. */
export function createShimHost(zygoteSocket: string): ShimHost {
  return {
    zygote: { socket: zygoteSocket, launcher: launcherPath },
    containerInit: native.sealExecutable(join(directories.lib, "container-init")),
    log: createLog(),
  };
}

/** What every wasm process needs and the zygote makes once. `scratch` is a directory to mount on meanwhile. */
export function createWasmHost(scratch: string): WasmHost {
  return { emptyMountNamespace: native.createEmptyMountNamespace(scratch), filter: wasmFilter({ network: true }) };
}

/** Runs everything that a child will run, so that no child compiles, allocates or reads for the first time. */
export async function warmUp(shim: ShimHost, wasm: WasmHost, directory: string): Promise<void> {
  cgroupLayout();
  readMachine();
  await rehearse(shim, wasm, directory);
  // The garbage of the rehearsal would be copied by every child that collects its own.
  globalThis.gc?.();
  native.fillHeapHoles();
}
