import type { InstanceShare } from "./limits/instance-share.ts";
import { usage } from "./limits/usage.ts";
import type { ComponentExit } from "./wasi/p2/cli.ts";

/**
 * Exit statuses of programs for WASI 0.1 in a component: the adapter knows only success and failure (wasi:cli/exit#exit), so
 * that `exit(3)` would come out as 1. The core module's own call of proc_exit still has the number.
 */
export class ExitIntercept {
  #status: number | undefined;
  #made = 0;
  readonly #share: InstanceShare;
  readonly #memories = new Set<WebAssembly.Memory>();

  constructor(share: InstanceShare) {
    this.#share = share;
  }

  readonly instantiateCore = (
    module: WebAssembly.Module,
    imports?: WebAssembly.Imports,
  ): WebAssembly.Instance => {
    usage.instantiateInComponent(this.#made++);
    this.#share.add(module);
    const instance = new WebAssembly.Instance(module, this.#noting(imports));
    for (const one of Object.values(instance.exports))
      if (one instanceof WebAssembly.Memory) this.#memories.add(one);
    return instance;
  };

  #noting(imports: WebAssembly.Imports | undefined): WebAssembly.Imports | undefined {
    const preview1 = imports?.["wasi_snapshot_preview1"];
    const procExit: unknown = preview1?.["proc_exit"];
    if (imports === undefined || typeof procExit !== "function") return imports;
    const noting = (status: number): unknown => {
      this.#status = status;
      return procExit(status);
    };
    return { ...imports, wasi_snapshot_preview1: { ...preview1, proc_exit: noting } };
  }

  /** Those that its core modules export, one another or the host. */
  get memories(): Iterable<WebAssembly.Memory> {
    return this.#memories;
  }

  /** The status that this exit was meant to have. */
  statusOf(exit: ComponentExit): number {
    const meant = this.#status ?? exit.status;
    return (meant === 0) === (exit.status === 0) ? meant & 0xff : exit.status;
  }
}
