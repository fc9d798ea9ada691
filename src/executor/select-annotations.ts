import { TandemError } from "../errors.ts";

/** What an annotation asks for, and its words for messages. */
export interface Demand {
  readonly executor: "linux" | "wasm";
  readonly reason: string;
}

/** Handlers of crun that mean "run it as wasm"; which engine does it is not the pod's business here. */
const wasmHandlers = new Set(["wasm", "wasmtime", "wasmedge", "wasmer", "wamr", "spin"]);

/**
 * Our own annotation, then crun's, then the one that crun and youki share. The `-smart` values only mean wasm when the entrypoint
 * is called .wasm or .wat, so that a Linux sidecar in a pod so annotated stays a Linux container.
 *
 * @throws TandemError invalid_argument: a value that no one defines; unimplemented: a handler of crun that is not about wasm.
 */
export function demandOf(
  annotations: Readonly<Record<string, string>>,
  entryPath: string,
): Demand | undefined {
  return (
    demandOfTandem(annotations) ??
    demandOfHandler(annotations, entryPath) ??
    demandOfVariant(annotations, entryPath)
  );
}

function demandOfTandem(annotations: Readonly<Record<string, string>>): Demand | undefined {
  const value = annotations["tandem.dev/executor"];
  if (value === undefined || value === "") return undefined;
  if (value === "linux" || value === "wasm")
    return { executor: value, reason: `annotation tandem.dev/executor=${value}` };
  throw new TandemError("invalid_argument", `annotation tandem.dev/executor=${value}: must be linux or wasm`);
}

function demandOfHandler(
  annotations: Readonly<Record<string, string>>,
  entryPath: string,
): Demand | undefined {
  const value = annotations["run.oci.handler"];
  if (value === undefined || value === "") return undefined;
  const reason = `annotation run.oci.handler=${value}`;
  if (wasmHandlers.has(value)) return { executor: "wasm", reason };
  if (value === "wasm-smart") return isWasmName(entryPath) ? { executor: "wasm", reason } : undefined;
  throw new TandemError("unimplemented", `${reason}: no such handler here`);
}

function demandOfVariant(
  annotations: Readonly<Record<string, string>>,
  entryPath: string,
): Demand | undefined {
  const value = annotations["module.wasm.image/variant"];
  if (value === undefined || value === "") return undefined;
  const reason = `annotation module.wasm.image/variant=${value}`;
  if (value === "compat") return { executor: "wasm", reason };
  if (value === "compat-smart") return isWasmName(entryPath) ? { executor: "wasm", reason } : undefined;
  throw new TandemError("invalid_argument", `${reason}: must be compat or compat-smart`);
}

function isWasmName(path: string): boolean {
  return path.endsWith(".wasm") || path.endsWith(".wat");
}
