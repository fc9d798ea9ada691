import { deterministicImports } from "./deterministic.ts";
import { environmentImports } from "./environment.ts";
import { attributeImports, descriptorImports, transferImports } from "./files.ts";
import { lookupImports, treeImports } from "./paths.ts";
import { processImports } from "./process.ts";
import { socketImports } from "./sockets.ts";
import type { State } from "./state.ts";

/**
 * Every function of wasi_snapshot_preview1, or of wasi_unstable when the state says so, for one guest.
 * Source: WebAssembly/WASI, legacy/preview1/docs.md and legacy/preview0/docs.md.
 */
export function wasiImports(state: State): WebAssembly.ModuleImports {
  return {
    ...environmentImports(state),
    ...processImports(state),
    ...transferImports(state),
    ...attributeImports(state),
    ...descriptorImports(state),
    ...lookupImports(state),
    ...treeImports(state),
    ...socketImports(state),
    ...deterministicImports(state),
  };
}
