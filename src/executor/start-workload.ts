import type { Workload } from "../../wasm-host/config.ts";
import { TandemError } from "../errors.ts";
import { dropIfDamaged } from "../image/compile-cache.ts";
import type { WasmProcess } from "./wasm-process.ts";

export interface StartOptions {
  readonly workload: Workload;
  spawn(): Promise<WasmProcess>;
  /** Makes a component's transpiled form anew, at the same place, unless somebody else has already. */
  transpile(): Promise<unknown>;
  /** Hears of what was damaged. */
  warn(error: TandemError): void;
}

/**
 * Spawns a process, twice if need be: that of a component hashes the core modules that it is about to compile, and refuses those that
 * are not what was written. It may say anything, so they are hashed here before they are dropped.
 * @throws TandemError as `spawn` and `transpile` do
 */
export async function startWorkload({
  workload,
  spawn,
  transpile,
  warn,
}: StartOptions): Promise<WasmProcess> {
  try {
    return await spawn();
  } catch (error) {
    const failure = TandemError.from(error);
    if (workload.form !== "component" || failure.code !== "failed_precondition") throw error;
    if (dropIfDamaged(workload.transpiled)) warn(failure);
    await transpile();
    return await spawn();
  }
}
