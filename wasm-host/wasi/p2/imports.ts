import type { Grant } from "../../grant.ts";
import { outgoingAccess } from "../../http/outgoing-access.ts";
import { createOutgoingHandler } from "../../http/outgoing-handler.ts";
import { httpTypes } from "../../http/types.ts";
import { type CliGrant, createCli } from "./cli.ts";
import { createClocks } from "./clocks.ts";
import type { FilesystemHost } from "./descriptor.ts";
import { createFilesystem } from "./filesystem.ts";
import { guestClock } from "./guest-clock.ts";
import { Pollable } from "./poll.ts";
import { withPresent } from "./present-times.ts";
import { createRandom, guestRandom } from "./random.ts";
import { createSockets } from "./sockets/sockets.ts";
import { InputStream, IoError, OutputStream } from "./streams.ts";

/** What of a grant (grant.ts) a component can be given. stdio that is undefined reads as empty and swallows what is written. */
export type ComponentGrant = Pick<
  Grant,
  "args" | "env" | "preopens" | "network" | "clocks" | "random" | "limits"
> &
  CliGrant;

/** WASI 0.2 for one instance, keyed as jco's glue asks for it: interface names without versions. */
export function createImports(grant: ComponentGrant, host: FilesystemHost): Record<string, unknown> {
  return {
    "wasi:io/error": { Error: IoError },
    "wasi:io/poll": { Pollable, poll: Pollable.poll },
    "wasi:io/streams": { InputStream, OutputStream },
    ...createCli(grant, host.waiter),
    ...createClocks(guestClock(grant.clocks), host.waiter),
    ...createRandom(guestRandom(grant.random)),
    ...createFilesystem(grant.preopens, { ...host, files: withPresent(host.files, grant.clocks) }),
    ...createSockets(grant.network, host.waiter),
    "wasi:http/types": httpTypes,
    ...createOutgoingHandler(outgoingAccess(grant.network)),
  };
}
