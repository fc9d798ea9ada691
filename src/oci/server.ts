import { closeSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TandemError } from "../errors.ts";
import type { RedirectableLog } from "../log.ts";
import { native } from "../native.ts";
import type { ZygoteMessage } from "../native-surface.ts";
import type { ZygoteAddress } from "../zygote/client.ts";
import { Tenure } from "../zygote/tenure.ts";
import { answerCall, type ServerParts } from "./answer-call.ts";
import { Call } from "./call.ts";
import { decodeCall, decodeRun, type RunCallRequest, toServer } from "./protocol.ts";
import { Store } from "./store.ts";

/** What the zygote made ahead. */
export interface OciHost {
  /** container-init, sealed. */
  readonly containerInit: number;
  readonly zygote: ZygoteAddress;
  readonly log: RedirectableLog;
  /** The zygote's directory, in which the server's socket is. */
  readonly directory: string;
  /** Whether its mount namespace is, as far as can be told, the machine's, and not that of one step of a build. */
  readonly lasting: boolean;
}

/** After this time without a call and without a container the server ends; the next call brings a new one. */
const IDLE_MS = 15 * 60_000;
/**
 * The same for a server whose zygote is a guest, for whose end whoever has adopted it waits; and in a mount namespace that will not last:
 * the next step of a build has another one, and a zygote of its own.
 */
const BRIEF_IDLE_MS = 2_000;
/** For calls that were on their way when the server gave its place up. */
const LAST_CALLS_MS = 200;
const SOCKET_NAME = "oci.sock";
/** For clients that hear nothing (native/client/silence.c), and their users. */
const PID_FILE = "oci.pid";

/**
 * A child of the zygote answers every command line of its user, build and set of namespaces, one after the other or side by
 * side. It holds no state of any container: what it knows is in the files of `--root`.
 */
export function becomeOciServer(host: OciHost, listener: number): void {
  native.enterShim("tandem-oci");
  const { log } = host.log;
  // One command line's bug must not end the others.
  process.on("uncaughtException", (error) => log.error({ err: error }, "uncaught exception"));
  process.on("unhandledRejection", (error) => log.error({ err: error }, "unhandled rejection"));
  const { containerInit, zygote } = host;
  const server: ServerParts = { containerInit, zygote, log, roots: new Set() };
  try {
    writeFileSync(join(host.directory, PID_FILE), `${native.getpid()}\n`);
  } catch (error) {
    // No space, perhaps; then above all a container has to be deleted.
    log.error({ err: error }, "writing oci.pid");
  }
  const stay = new Stay(host, server.roots);
  native.onReadable(listener, () => {
    const message = native.acceptRequest(listener, 0);
    if (message === undefined) return;
    stay.begin();
    answer(message, server, stay.isGuest)
      .catch((error: unknown) => log.error({ err: error }, "answering a call"))
      .finally(() => stay.finish());
  });
}

/** How long the server stays: as long as there is something to do or, unless it is a guest, somebody has a container. */
class Stay {
  readonly #directory: string;
  readonly #lasting: boolean;
  readonly #roots: ReadonlySet<string>;
  readonly #tenure = new Tenure(() => process.ppid);
  #running = 0;
  #idle: NodeJS.Timeout;
  /** Whether the socket's path was given up. */
  #retired = false;

  constructor({ directory, lasting }: Pick<OciHost, "directory" | "lasting">, roots: ReadonlySet<string>) {
    this.#directory = directory;
    this.#lasting = lasting;
    this.#roots = roots;
    this.#idle = this.#wait();
  }

  get isGuest(): boolean {
    return this.#tenure.isGuest();
  }

  /** A call has come. */
  begin(): void {
    this.#running++;
    clearTimeout(this.#idle);
  }

  /** A call has been answered. */
  finish(): void {
    this.#running--;
    if (!this.#retired && this.isGuest && this.#tenure.isReplaced(this.#directory)) this.#retire();
    if (this.#running === 0) this.#idle = this.#wait();
  }

  #wait(): NodeJS.Timeout {
    const idle = this.#lasting && !this.isGuest ? IDLE_MS : BRIEF_IDLE_MS;
    return setTimeout(() => this.#end(), this.#retired ? LAST_CALLS_MS : idle);
  }

  #end(): void {
    // Whoever has a container will want something of it, and not wait for a new server then.
    if (!this.isGuest && [...this.#roots].some((root) => new Store(root).ids().length > 0)) {
      this.#idle = this.#wait();
      return;
    }
    if (!this.#retired) this.#retire();
    native.exitNow(0);
  }

  /** The next client finds nobody at the path, and has the zygote that is there now fork a server. */
  #retire(): void {
    this.#retired = true;
    rmSync(join(this.#directory, SOCKET_NAME), { force: true });
  }
}

async function answer(message: ZygoteMessage, server: ServerParts, isGuest: boolean): Promise<void> {
  const { fd, data, fds, peerPid } = message;
  let call: Call;
  let run: RunCallRequest | undefined;
  try {
    if (peerPid === 0) throw new TandemError("unavailable", "the client was killed");
    if (data[0] === toServer.run) run = decodeRun(fieldsOf(message));
    else if (data[0] !== toServer.call) throw new RangeError("not a call");
    call = new Call(fd, run ?? decodeCall(fieldsOf(message)), peerPid);
  } catch (error) {
    for (const one of [fd, ...fds]) closeSync(one);
    throw error;
  }
  for (const extra of fds.slice(run?.descriptors ?? 0)) closeSync(extra);
  if (isGuest) call.renewHousehold();
  if (run === undefined) return await answerCall(call, server);
  // Loaded when it is wanted: podman's server needs none of it.
  const { answerRun } = await import("../run/answer-run.ts");
  const { zygote, log } = server;
  await answerRun({ call, request: run, descriptors: fds.slice(0, run.descriptors), zygote, log });
}

/** They are in a file, the last descriptor, when they are too much for one message. */
function fieldsOf({ data, fds }: ZygoteMessage): Buffer {
  return data.length > 1 ? data.subarray(1) : readFileSync(`/proc/self/fd/${fds.at(-1)}`);
}
