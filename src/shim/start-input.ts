import { fromBinary } from "@bufbuild/protobuf";
import { BootstrapParamsSchema } from "../api/gen/containerd/runtime/bootstrap/v1/bootstrap_pb.ts";
import type { ShimParameters } from "../zygote/request.ts";

/** What `start` was told, whichever generation of containerd told it. */
export interface StartInput {
  readonly ttrpcAddress: string;
  readonly debug: boolean;
}

/** LogLevel of BootstrapParams: DEBUG is -4, TRACE -8, INFO 0 (shim-protocol §1.4). */
const DEBUG_LEVEL = -4;

/**
 * containerd ≥ 2.3 writes BootstrapParams to stdin, the older ones an Any of runtime options or nothing. It is BootstrapParams if
 * its id and namespace are those of the flags; in an Any the first field is a type URL.
 */
export function parseStartInput(parameters: ShimParameters): StartInput {
  const fallback = { ttrpcAddress: parameters.ttrpcAddress, debug: parameters.debug !== "" };
  if (parameters.stdin.length === 0) return fallback;
  try {
    const bootstrap = fromBinary(BootstrapParamsSchema, parameters.stdin);
    if (bootstrap.instanceId !== parameters.id || bootstrap.namespace !== parameters.namespace)
      return fallback;
    return {
      ttrpcAddress: bootstrap.containerdTtrpcAddress || parameters.ttrpcAddress,
      debug: fallback.debug || bootstrap.logLevel <= DEBUG_LEVEL,
    };
  } catch {
    // Not BootstrapParams: an options Any need not decode as one.
    return fallback;
  }
}
