import { outgoingAccess } from "../../http/outgoing-access.ts";
import type { FilesystemHost } from "../p2/descriptor.ts";
import { guestClock } from "../p2/guest-clock.ts";
import type { ComponentGrant } from "../p2/imports.ts";
import { withPresent } from "../p2/present-times.ts";
import { guestRandom } from "../p2/random.ts";
import { createCli } from "./cli.ts";
import { createClocks } from "./clocks.ts";
import { createFilesystem } from "./filesystem.ts";
import { createClient } from "./http/client.ts";
import { httpTypes } from "./http/types.ts";
import type { Outflow } from "./outflow.ts";
import { createRandom } from "./random.ts";
import { createSockets } from "./sockets/sockets.ts";

export interface Wasi03Host extends Pick<FilesystemHost, "files"> {
  readonly outflow: Outflow;
}

/** WASI 0.3 for one instance, keyed as transpile-worker.ts has jco's glue ask for it: interface names with `@0.3`. */
export function createWasi03(grant: ComponentGrant, host: Wasi03Host): Record<string, unknown> {
  return {
    ...createCli(grant, host.outflow),
    ...createClocks(guestClock(grant.clocks)),
    ...createRandom(guestRandom(grant.random)),
    ...createFilesystem(grant.preopens, withPresent(host.files, grant.clocks)),
    ...createSockets(grant.network),
    ...httpTypes,
    ...createClient(outgoingAccess(grant.network)),
  };
}
