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
  /** What the operator says of the grants of wasm containers (src/grant/pod-settings.ts), as it was written. */
  readonly wasm: Readonly<Record<string, unknown>>;
}

export const defaultRuntimeOptions: RuntimeOptions = Object.freeze({
  systemdCgroup: false,
  noNewKeyring: false,
  noPivotRoot: false,
  wasm: {},
});

/** TOML key (as containerd's runtime table and our config file spell it) → field and type. */
const tomlKeys = {
  SystemdCgroup: ["systemdCgroup", "boolean"],
  NoNewKeyring: ["noNewKeyring", "boolean"],
  NoPivotRoot: ["noPivotRoot", "boolean"],
  wasm: ["wasm", "object"],
} as const satisfies Record<string, readonly [keyof RuntimeOptions, string]>;

/**
 * Keys that change nothing: IoUid and IoGid own the pipes that runc's shim puts between client and process, where here the
 * process gets the client's own FIFOs; the last two are containerd's, for finding this very text.
 */
const withoutMeaning = new Set(["IoUid", "IoGid", "TypeUrl", "ConfigPath"]);

/**
 * Reads CreateTaskRequest.options: absent, `containerd.runc.v1.Options` or `runtimeoptions.v1.Options` (a TOML file or body).
 *
 * @throws TandemError invalid_argument for another type, for a file that cannot be read and for a key that we do not know;
 * unimplemented for ShimCgroup.
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
  if (options.shimCgroup !== "") refuseShimCgroup();
  // binary_name and root choose another OCI runtime and its state directory; here the executor is the runtime.
  return Object.freeze({
    systemdCgroup: options.systemdCgroup,
    noNewKeyring: options.noNewKeyring,
    noPivotRoot: options.noPivotRoot,
    wasm: {},
  });
}

/** A shim is forked before it hears of options, and serves containers that may not agree on them. */
function refuseShimCgroup(): never {
  throw new TandemError(
    "unimplemented",
    "runtime option ShimCgroup: the shim stays in the cgroup of its zygote",
  );
}

function fromRuntime(bytes: Uint8Array): RuntimeOptions {
  const options = fromBinary(RuntimeOptionsSchema, bytes);
  if (options.configPath === "")
    return fromToml(Buffer.from(options.configBody).toString(), "runtime options");
  let text: string;
  try {
    text = readFileSync(options.configPath, "utf8");
  } catch (error) {
    throw new TandemError("invalid_argument", `runtime options: ${TandemError.from(error).message}`, {
      cause: error,
    });
  }
  return fromToml(text, options.configPath);
}

function fromToml(text: string, source: string): RuntimeOptions {
  const result: Record<string, unknown> = { ...defaultRuntimeOptions };
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (error) {
    throw new TandemError("invalid_argument", `${source}: ${(error as Error).message.split("\n")[0]}`, {
      cause: error,
    });
  }
  for (const [key, value] of Object.entries(table)) {
    if (withoutMeaning.has(key)) continue;
    if (key === "ShimCgroup" && value !== "") refuseShimCgroup();
    if (key === "ShimCgroup") continue;
    const known = Object.hasOwn(tomlKeys, key) ? tomlKeys[key as keyof typeof tomlKeys] : undefined;
    if (known === undefined) {
      throw new TandemError("invalid_argument", `${source}: unknown runtime option ${key}`);
    }
    const [field, type] = known;
    if (typeof value !== type || Array.isArray(value)) {
      const wanted = type === "object" ? "table" : type;
      throw new TandemError("invalid_argument", `${source}: runtime option ${key} must be a ${wanted}`);
    }
    result[field] = value;
  }
  return Object.freeze(result) as unknown as RuntimeOptions;
}
