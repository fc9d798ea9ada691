import { spawn } from "node:child_process";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import {
  BootstrapParamsSchema,
  BootstrapResultSchema,
} from "../../src/api/gen/containerd/runtime/bootstrap/v1/bootstrap_pb.ts";

/**
 * What containerd writes to stdin of `start`: the runtime options alone up to 2.2, BootstrapParams with the options in them from 2.3
 * on. Flags and environment are the same. The runc shim insists on its own generation's; Tandem takes either.
 */
export type StartDialect = "options" | "bootstrap";

/** What containerd tells every shim binary, whatever it asks of it. */
export interface LaunchContext {
  readonly binary: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly namespace: string;
  /** Where containerd's gRPC socket would be. Nobody listens there: no system may need it for these containers. */
  readonly grpcAddress: string;
  readonly ttrpcAddress: string;
  readonly dialect: StartDialect;
  /** Put before the binary, for instance a shell that moves itself into a cgroup and becomes the binary. */
  readonly wrapper: readonly string[];
}

export interface LaunchRequest {
  readonly id: string;
  readonly bundle: string;
  readonly action: "start" | "delete";
  readonly runtimeOptions: Any | undefined;
}

/**
 * Runs a shim binary as containerd does: flags, environment, the bundle as working directory. Done when the binary has ended and the
 * last holder of its output has closed it.
 *
 * @throws Error with what the binary printed.
 */
export async function launch(context: LaunchContext, request: LaunchRequest): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const bundle = request.action === "delete" ? ["-bundle", request.bundle] : [];
  const flags = ["-namespace", context.namespace, "-address", context.grpcAddress];
  const parameters = [
    ...flags,
    "-publish-binary",
    "/bin/false",
    "-id",
    request.id,
    ...bundle,
    request.action,
  ];
  const stdin = startInput(context, request);
  const [program = "", ...rest] = [...context.wrapper, context.binary, ...parameters];
  const child = spawn(program, rest, {
    cwd: request.bundle,
    env: {
      PATH: process.env["PATH"],
      TTRPC_ADDRESS: context.ttrpcAddress,
      GRPC_ADDRESS: context.grpcAddress,
      NAMESPACE: context.namespace,
      MAX_SHIM_VERSION: "2",
      GOMAXPROCS: "2",
      ...context.environment,
    },
    stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk));
  // A shim that does not read its stdin closes the pipe; that is its own business.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(stdin);
  child.on("error", reject);
  child.on("close", (status) => {
    if (status === 0) return resolve(Buffer.concat(output));
    const printed = Buffer.concat([...output, ...errors])
      .toString()
      .trim();
    reject(new Error(`${context.binary} ${request.action}: status ${status}: ${printed}`));
  });
  return await promise;
}

function startInput(
  context: LaunchContext,
  { action, id, runtimeOptions }: LaunchRequest,
): Uint8Array | undefined {
  if (action === "delete") return undefined;
  if (context.dialect === "options")
    return runtimeOptions === undefined ? undefined : toBinary(AnySchema, runtimeOptions);
  const params = create(BootstrapParamsSchema, {
    instanceId: id,
    namespace: context.namespace,
    containerdVersion: "2.4.2",
    containerdTtrpcAddress: context.ttrpcAddress,
    containerdGrpcAddress: context.grpcAddress,
    containerdBinary: publishBinary,
    extensions: runtimeOptions === undefined ? [] : [{ value: runtimeOptions }],
    socketDir: "/run/containerd/s",
  });
  return toBinary(BootstrapParamsSchema, params);
}

/** Never run: events go to the ttrpc socket. */
const publishBinary = "/bin/false";

export interface ShimAddress {
  readonly path: string;
  readonly version: number;
}

/** The answer of `start`: a BootstrapResult (containerd 2.3), JSON (1.7) or a plain address, which means version 2. */
export function parseShimAddress(answer: Buffer): ShimAddress {
  const { address, version, protocol } = decodeAnswer(answer);
  if (!address.startsWith("unix://") || protocol !== "ttrpc")
    throw new Error(`start answered ${JSON.stringify(answer.toString())}, which is no ttrpc socket`);
  return { path: address.slice("unix://".length), version };
}

function decodeAnswer(answer: Buffer): { address: string; version: number; protocol: string } {
  const text = answer.toString().trim();
  if (text.startsWith("{")) return { version: 2, address: "", protocol: "ttrpc", ...JSON.parse(text) };
  if (text.startsWith("unix://")) return { version: 2, address: text, protocol: "ttrpc" };
  return fromBinary(BootstrapResultSchema, answer);
}
