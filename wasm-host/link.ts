import { TandemError } from "../src/errors.ts";
import type { Grant } from "./grant.ts";
import { DescriptorTable } from "./wasi/p1/descriptor.ts";
import { wasiImports } from "./wasi/p1/imports.ts";
import { State } from "./wasi/p1/state.ts";

export interface Linking {
  readonly grant: Grant;
  /** Filled in once the guest is instantiated. */
  readonly memory: { current?: WebAssembly.Memory };
  /** Ends the guest: unwinds it and does not come back. */
  readonly onExit: (status: number) => never;
}

/**
 * The imports that the module asks for, and nothing else is offered.
 * @throws TandemError unimplemented naming an import that nobody grants
 */
export function linkImports(module: WebAssembly.Module, linking: Linking): WebAssembly.Imports {
  const imports: WebAssembly.Imports = {};
  const table = new DescriptorTable(linking.grant);
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    const unstable = from === "wasi_unstable";
    const known = unstable || from === "wasi_snapshot_preview1";
    if (known) imports[from] ??= wasiImports(new State({ ...linking, table, unstable }));
    if (!known || kind !== "function" || imports[from]?.[name] === undefined) {
      throw new TandemError("unimplemented", `module imports ${from}.${name} (${kind}), which nobody grants`);
    }
  }
  return imports;
}
