import { closeSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setEngineForLongRuns } from "../engine.ts";
import type { RedirectableLog } from "../log.ts";
import { native } from "../native.ts";
import type { ZygoteMessage } from "../native-surface.ts";
import { answerCall, type ServerParts } from "./answer-call.ts";
import { Call } from "./call.ts";
import { decodeCall, toServer } from "./protocol.ts";
import { Store } from "./store.ts";

/** What the zygote made ahead. */
export interface OciHost {
  /** container-init, sealed. */
  readonly containerInit: number;
  readonly log: RedirectableLog;
  /** The zygote's directory, in which the server's socket is. */
  readonly directory: string;
}

/** After this time without a call and without a container the server ends; the next call brings a new one. */
const IDLE_MS = 15 * 60_000;
const SOCKET_NAME = "oci.sock";

/**
 * A child of the zygote answers every command line of its user, build and set of namespaces, one after the other or side by
 * side. It holds no state of any container: what it knows is in the files of `--root`.
 */
export function becomeOciServer(host: OciHost, listener: number): void {
  native.enterShim("tandem-oci");
  setEngineForLongRuns();
  const { log } = host.log;
  // One command line's bug must not end the others.
  process.on("uncaughtException", (error) => log.error({ err: error }, "uncaught exception"));
  process.on("unhandledRejection", (error) => log.error({ err: error }, "unhandled rejection"));
  let running = 0;
  const server: ServerParts = { containerInit: host.containerInit, roots: new Set() };
  const end = (): void => {
    // Whoever has a container will want something of it, and not wait for a new server then.
    if ([...server.roots].some((root) => new Store(root).ids().length > 0)) {
      idle = setTimeout(end, IDLE_MS);
      return;
    }
    rmSync(join(host.directory, SOCKET_NAME), { force: true });
    native.exitNow(0);
  };
  let idle = setTimeout(end, IDLE_MS);
  native.onReadable(listener, () => {
    const message = native.acceptRequest(listener, 0);
    if (message === undefined) return;
    running++;
    clearTimeout(idle);
    answer(message, server)
      .catch((error: unknown) => log.error({ err: error }, "answering a call"))
      .finally(() => {
        running--;
        if (running === 0) idle = setTimeout(end, IDLE_MS);
      });
  });
}

async function answer({ fd, data, fds, peerPid }: ZygoteMessage, server: ServerParts): Promise<void> {
  let call: Call;
  try {
    if (data[0] !== toServer.call) throw new RangeError("not a call");
    const [memfd] = fds;
    const fields = memfd === undefined ? data.subarray(1) : readFileSync(`/proc/self/fd/${memfd}`);
    call = new Call(fd, decodeCall(fields), peerPid);
  } catch (error) {
    closeSync(fd);
    throw error;
  } finally {
    for (const extra of fds) closeSync(extra);
  }
  await answerCall(call, server);
}
