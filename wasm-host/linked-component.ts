import { TandemError } from "../src/errors.ts";
import type { LoadedComponent, LoadOptions } from "./component.ts";
import { RunningService } from "./http/run-service.ts";
import { LinkedCode } from "./linked/linked-code.ts";
import type { LinkedFiles } from "./transpiled.ts";

export interface LinkedOptions extends LoadOptions<LinkedFiles> {
  /** As LinkedCode takes it. */
  readonly memfd: number | undefined;
}

/**
 * Loads a component that is put together by a plan, which is one that is served: nothing of the guest has run when this returns.
 * @throws WebAssembly.CompileError; `run` throws TandemError `internal` for a call of a named export, of which a
 *   plan knows nothing: such a component is transpiled to glue
 */
export function loadLinkedComponent(options: LinkedOptions): LoadedComponent {
  const { files, grant, http, httpLimits, onServing, memfd } = options;
  const compile = options.compile ?? ((bytes: Uint8Array) => new WebAssembly.Module(bytes));
  const modules = new Map([...files.modules].map(([name, bytes]) => [name, compile(bytes, name)]));
  const code = new LinkedCode({ plan: files.plan, modules, imports: files.manifest.imports, memfd });
  const service = new RunningService({
    code,
    grant,
    address: http ?? { port: 8080 },
    onServing,
    ...(httpLimits === undefined ? {} : { limits: httpLimits }),
  });
  return {
    world: "http",
    run: async (call) => {
      if (call !== undefined)
        throw new TandemError("internal", "component is linked to be served: no export of its can be called");
      return await service.run();
    },
    close: (status) => service.close(status),
  };
}
