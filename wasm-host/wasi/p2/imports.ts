import { createOutgoingHandler } from "../../http/outgoing-handler.ts";
import { httpTypes } from "../../http/types.ts";
import { type CliGrant, createCli } from "./cli.ts";
import { createClocks } from "./clocks.ts";
import type { FilesystemHost } from "./descriptor.ts";
import { createFilesystem, type Preopen } from "./filesystem.ts";
import { Pollable } from "./poll.ts";
import { createRandom, type RandomSource } from "./random.ts";
import { createSockets } from "./sockets.ts";
import { InputStream, IoError, OutputStream } from "./streams.ts";

/**
 * The whole authority of a component. Deny by default: no arguments, no environment, stdio that is empty, no files, no
 * network; clocks and random numbers are always there.
 */
export interface ComponentGrant extends CliGrant {
  readonly preopens: readonly Preopen[];
  /** Without it, nothing leaves. */
  readonly network?: {
    /** wasi:sockets. */
    readonly sockets: boolean;
    /** wasi:http/outgoing-handler: `host`, `host:port`, `*.suffix` or `*`. */
    readonly outboundHosts: readonly string[];
  };
}

/** What the process that a component runs in provides. */
export interface ComponentHost extends FilesystemHost {
  readonly random: RandomSource;
}

/** WASI 0.2 for one instance, keyed as jco's glue asks for it: interface names without versions. */
export function createImports(grant: ComponentGrant, host: ComponentHost): Record<string, unknown> {
  return {
    "wasi:io/error": { Error: IoError },
    "wasi:io/poll": { Pollable, poll: Pollable.poll },
    "wasi:io/streams": { InputStream, OutputStream },
    ...createCli(grant, host.waiter),
    ...createClocks(host.waiter),
    ...createRandom(host.random),
    ...createFilesystem(grant.preopens, host),
    ...createSockets({ allowed: grant.network?.sockets === true }),
    "wasi:http/types": httpTypes,
    ...createOutgoingHandler(grant.network?.outboundHosts ?? []),
  };
}
