import { closeSync, readFileSync } from "node:fs";
import { TandemError } from "../errors.ts";
import type { RedirectableLog } from "../log.ts";
import { native } from "../native.ts";
import type { ZygoteMessage } from "../native-surface.ts";
import type { ZygoteAddress } from "../zygote/client.ts";
import { answerCall, type ServerParts } from "./answer-call.ts";
import { Call } from "./call.ts";
import { Changes } from "./changes.ts";
import { MadeContainers } from "./made-containers.ts";
import { decodeCall, decodeRun, type RunCallRequest, toClient, toServer } from "./protocol.ts";
import { Stay } from "./stay.ts";

/** What the zygote made ahead. */
export interface OciHost {
  /** container-init, sealed. */
  readonly containerInit: number;
  readonly zygote: ZygoteAddress;
  readonly log: RedirectableLog;
  /** The zygote's directory, in which the server's socket is. */
  readonly directory: string;
  /** Whether its mount namespace is, as far as can be told, that of one step of a build, and not the machine's. */
  readonly inPassingNamespace: boolean;
}

/**
 * A child of the zygote answers every command line of its user, build and set of namespaces, one after the other or side by
 * side. It holds no state of any container: what it knows is in the files of `--root`.
 */
export function becomeOciServer(host: OciHost, listener: number): void {
  native.enterShim("tandem-server");
  const { log } = host.log;
  // One command line's bug must not end the others.
  process.on("uncaughtException", (error) => log.error({ err: error }, "uncaught exception"));
  process.on("unhandledRejection", (error) => log.error({ err: error }, "unhandled rejection"));
  const { containerInit, zygote, directory, inPassingNamespace } = host;
  const parts = { roots: new Set<string>(), made: new MadeContainers() };
  const server: ServerParts = { containerInit, zygote, log, ...parts, changes: new Changes() };
  const stay = new Stay({ directory, inPassingNamespace, ...parts });
  try {
    stay.announce();
  } catch (error) {
    // No space, perhaps; then above all a container has to be deleted.
    log.error({ err: error }, "writing oci.pid");
  }
  process.on("SIGTERM", () => stay.leave());
  native.onReadable(listener, () => {
    const message = native.acceptRequest(listener, 0, { peerPidfd: true });
    if (message === undefined) return;
    stay.begin();
    answer(message, server, stay.isLodger)
      .catch((error: unknown) => log.error({ err: error }, "answering a call"))
      .finally(() => stay.finish());
  });
}

async function answer(message: ZygoteMessage, server: ServerParts, isLodger: boolean): Promise<void> {
  const { fd, data, fds, peerPid, peerPidfd, peerError } = message;
  let call: Call;
  let run: RunCallRequest | undefined;
  try {
    if (peerError !== undefined) throw new TandemError("unavailable", peerError);
    // Nobody waits for an answer.
    if (peerPid === 0 || peerPidfd === undefined) return closeAll(message);
    if (data[0] === toServer.run) run = decodeRun(fieldsOf(message));
    else if (data[0] !== toServer.call) throw new RangeError("not a call");
    call = new Call(fd, run ?? decodeCall(fieldsOf(message)), { pid: peerPid, pidfd: peerPidfd });
  } catch (error) {
    refuse(fd, TandemError.from(error));
    closeAll(message);
    throw error;
  }
  for (const extra of fds.slice(run?.descriptors ?? 0)) closeSync(extra);
  if (isLodger) call.renewHousehold();
  if (run === undefined) return await answerCall(call, server);
  // Loaded when it is wanted: podman's server needs none of it.
  const { answerRun } = await import("../run/answer-run.ts");
  const { zygote, log } = server;
  await answerRun({ call, request: run, descriptors: fds.slice(0, run.descriptors), zygote, log });
}

/** To a client that has not been looked at; it may be gone, too. */
function refuse(socket: number, { message }: TandemError): void {
  try {
    native.sendMessage(
      socket,
      Buffer.concat([Buffer.of(toClient.error), Buffer.from(`tandem-oci: ${message}\n`)]),
      [],
    );
    native.sendMessage(socket, Buffer.of(toClient.exit, 1), []);
  } catch {
    // What is thrown to the log says it.
  }
}

function closeAll({ fd, fds, peerPidfd }: ZygoteMessage): void {
  for (const one of [fd, ...fds]) closeSync(one);
  if (peerPidfd !== undefined) closeSync(peerPidfd);
}

/** They are in a file, the last descriptor, when they are too much for one message. */
function fieldsOf({ data, fds }: ZygoteMessage): Buffer {
  return data.length > 1 ? data.subarray(1) : readFileSync(`/proc/self/fd/${fds.at(-1)}`);
}
