import { readFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { parse } from "smol-toml";
import { OptionsSchema as RuncOptionsSchema } from "../api/gen/containerd/runc/v1/options_pb.ts";
import { OptionsSchema as RuntimeOptionsSchema } from "../api/gen/runtimeoptions/v1/options_pb.ts";
import { TandemError } from "../errors.ts";

/** The runtime options of a container, whatever form the caller gave them in, as one frozen value. */
export interface RuntimeOptions {
  readonly systemdCgroup: boolean;
  readonly noNewKeyring: boolean;
  readonly noPivotRoot: boolean;
  /** Owner of the stdio FIFOs as the container sees them (user namespaces). */
  readonly ioUid: number;
  readonly ioGid: number;
  /** cgroup that the shim itself should live in; empty: containerd's. */
  readonly shimCgroup: string;
}

export const defaultRuntimeOptions: RuntimeOptions = Object.freeze({
  systemdCgroup: false,
  noNewKeyring: false,
  noPivotRoot: false,
  ioUid: 0,
  ioGid: 0,
  shimCgroup: "",
});

/** TOML key (as containerd's runtime table and our config file spell it) → field and type. */
const tomlKeys = {
  SystemdCgroup: ["systemdCgroup", "boolean"],
  NoNewKeyring: ["noNewKeyring", "boolean"],
  NoPivotRoot: ["noPivotRoot", "boolean"],
  IoUid: ["ioUid", "number"],
  IoGid: ["ioGid", "number"],
  ShimCgroup: ["shimCgroup", "string"],
} as const satisfies Record<string, readonly [keyof RuntimeOptions, string]>;

/**
 * Reads CreateTaskRequest.options: absent, `containerd.runc.v1.Options` or `runtimeoptions.v1.Options` (a TOML file or body).
 *
 * @throws TandemError invalid_argument for another type, for a file that cannot be read and for a key that we do not know.
 */
export function parseRuntimeOptions(options: Any | undefined): RuntimeOptions {
  if (options === undefined || options.typeUrl === "") return defaultRuntimeOptions;
  switch (options.typeUrl) {
    case "containerd.runc.v1.Options":
      return fromRunc(options.value);
    case "runtimeoptions.v1.Options":
      return fromRuntime(options.value);
    default:
      throw new TandemError("invalid_argument", `runtime options of unknown type ${options.typeUrl}`);
  }
}

function fromRunc(bytes: Uint8Array): RuntimeOptions {
  const options = fromBinary(RuncOptionsSchema, bytes);
  // binary_name and root choose another OCI runtime and its state directory; here the executor is the runtime.
  return Object.freeze({
    systemdCgroup: options.systemdCgroup,
    noNewKeyring: options.noNewKeyring,
    noPivotRoot: options.noPivotRoot,
    ioUid: options.ioUid,
    ioGid: options.ioGid,
    shimCgroup: options.shimCgroup,
  });
}

function fromRuntime(bytes: Uint8Array): RuntimeOptions {
  const options = fromBinary(RuntimeOptionsSchema, bytes);
  if (options.configPath === "") return fromToml(Buffer.from(options.configBody).toString(), "runtime options");
  try {
    return fromToml(readFileSync(options.configPath, "utf8"), options.configPath);
  } catch (error) {
    throw new TandemError("invalid_argument", `runtime options: ${TandemError.from(error).message}`, { cause: error });
  }
}

function fromToml(text: string, source: string): RuntimeOptions {
  const result: Record<string, unknown> = { ...defaultRuntimeOptions };
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (error) {
    throw new TandemError("invalid_argument", `${source}: ${(error as Error).message.split("\n")[0]}`, { cause: error });
  }
  for (const [key, value] of Object.entries(table)) {
    // containerd's own keys for finding this very text, not options of the runtime.
    if (key === "TypeUrl" || key === "ConfigPath") continue;
    const known = Object.hasOwn(tomlKeys, key) ? tomlKeys[key as keyof typeof tomlKeys] : undefined;
    if (known === undefined) {
      throw new TandemError("invalid_argument", `${source}: unknown runtime option ${key}`);
    }
    const [field, type] = known;
    if (typeof value !== type) {
      throw new TandemError("invalid_argument", `${source}: runtime option ${key} must be a ${type}`);
    }
    result[field] = value;
  }
  return Object.freeze(result) as unknown as RuntimeOptions;
}
