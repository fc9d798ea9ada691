import type { Limits } from "../grant.ts";
import { planEngineLimits, setEngineLimits } from "./engine-limits.ts";

/**
 * Core modules of which one instance of a component is made. Each is counted once before it begins; one that it instantiates again has
 * memories and tables again, and all have smaller shares then.
 */
export class InstanceShare {
  readonly #limits: Limits;
  readonly #bytes: ReadonlyMap<WebAssembly.Module, Uint8Array>;
  readonly #made: WebAssembly.Module[] = [];

  constructor(limits: Limits, bytes: ReadonlyMap<WebAssembly.Module, Uint8Array>) {
    this.#limits = limits;
    this.#bytes = bytes;
  }

  /** Before an instance of this module is made. @throws LimitReached when they begin with too much by now, together */
  add(module: WebAssembly.Module): void {
    const again = this.#made.includes(module);
    this.#made.push(module);
    if (!again) return;
    // Those that are to come count already.
    const once = [...this.#bytes.keys()].filter((one) => !this.#made.includes(one));
    const all = [...this.#made, ...once].flatMap((one) => this.#bytes.get(one) ?? []);
    setEngineLimits(planEngineLimits(this.#limits, all, { imports: false }));
  }
}
