import { type CliGrant, createTerminals, exit, exitWithCode } from "../p2/cli.ts";
import {
  createDescriptorInput,
  createDescriptorOutput,
  discardingOutput,
  emptyInput,
} from "../p2/descriptor-streams.ts";
import { done, err, type Result } from "../p2/result.ts";
import type { OutputSink } from "../p2/streams.ts";
import { type GuestStream, pump } from "./guest-stream.ts";
import { chunksOf, hostStream, type StreamAndEnd } from "./host-stream.ts";
import type { Outflow } from "./outflow.ts";

/** The enum `error-code` of wasi:cli/types 0.3. */
type ErrorCode = "io" | "illegal-byte-sequence" | "pipe";

/** wasi:cli 0.3 for one instance: environment, exit, stdio and terminals, all of them from the grant. */
export function createCli(grant: CliGrant, outflow: Outflow): Record<string, unknown> {
  const { stdin, stdout, stderr } = grant.stdio;
  return {
    "wasi:cli/environment@0.3": {
      getArguments: () => [...grant.args],
      getEnvironment: () => grant.env.map(([name, value]) => [name, value]),
      getInitialCwd: () => undefined,
    },
    "wasi:cli/exit@0.3": { exit, exitWithCode },
    "wasi:cli/types@0.3": {},
    "wasi:cli/stdin@0.3": { readViaStream: () => readViaStream(stdin) },
    "wasi:cli/stdout@0.3": { writeViaStream: (data: GuestStream) => writeViaStream(data, stdout, outflow) },
    "wasi:cli/stderr@0.3": { writeViaStream: (data: GuestStream) => writeViaStream(data, stderr, outflow) },
    ...createTerminals(grant.stdio, "@0.3"),
  };
}

function readViaStream(fd: number | undefined): StreamAndEnd<Uint8Array, ErrorCode> {
  return hostStream(chunksOf(fd === undefined ? emptyInput : createDescriptorInput(fd)), errorCodeOf);
}

async function writeViaStream(
  data: GuestStream,
  fd: number | undefined,
  outflow: Outflow,
): Promise<Result<undefined, ErrorCode>> {
  const sink: OutputSink = fd === undefined ? discardingOutput : createDescriptorOutput(fd);
  const error = await pump(data, (bytes) => {
    sink.write(bytes);
    outflow.note();
  });
  return error === undefined ? done : err(errorCodeOf(error));
}

function errorCodeOf(error: unknown): ErrorCode {
  const errno = error instanceof Error && "code" in error ? error.code : undefined;
  if (errno === "EPIPE") return "pipe";
  if (errno === "EILSEQ") return "illegal-byte-sequence";
  if (typeof errno === "string") return "io";
  throw error;
}
