import type { WasmHost } from "../../wasm-host/isolation.ts";
import { becomeWasmProcess } from "../../wasm-host/main.ts";
import type { Log } from "../log.ts";
import { native } from "../native.ts";
import { nurserySource, tellReady } from "./nursery.ts";
import { Spares } from "./spares.ts";
import { createCodeHost, createWasmHost } from "./warm-up.ts";
import { serveRequests } from "./zygote.ts";

export interface NurseryOptions {
  /** The zygote's. */
  readonly directory: string;
  /** Whether this process may build a guest's wall as it is: it has CAP_SYS_ADMIN. */
  readonly hasRights: boolean;
  readonly log: Log;
}

/** A child of the zygote becomes the place where guests are born (nursery.ts). Returns in a guest's process only, or never. */
export function becomeNursery(socket: number, { directory, hasRights, log }: NurseryOptions): void {
  native.setProcessName("tandem-nursery");
  native.setSession();
  let host: WasmHost;
  try {
    if (!hasRights) native.enterUserNamespace();
    host = createWasmHost(directory, createCodeHost(log), { foreignMounts: !hasRights });
    // Who makes pid namespaces has to come back from each, and may only to one that belongs to its user namespace.
    if (!hasRights && native.fork({ newPid: true }).pid !== 0) native.exitNow(0);
  } catch (error) {
    tellReady(socket, error);
    native.exitNow(1);
  }
  native.autoReap();
  const roles = {
    wasm: (fields: readonly Buffer[], fds: readonly number[]) => becomeWasmProcess(host, fields, fds),
  };
  const kinds = new Map([["wasm", { newPid: true, pages: Buffer.alloc(0) }]]);
  const spares = new Spares(kinds, roles);
  const end = (): never => {
    spares.closeAll();
    // The first process of a pid namespace takes all others with it.
    if (!hasRights) native.waitForChildren();
    return native.exitNow(0);
  };
  tellReady(socket);
  serveRequests({
    source: nurserySource(socket, end),
    roles,
    spares,
    end,
  });
}
