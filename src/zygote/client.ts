import { spawnSync } from "node:child_process";
import { closeSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { encodeFields, type RequestKind } from "./request.ts";

/** A child of the zygote. The pidfd is the caller's; exit is seen on it, but the status is not (the zygote is the parent). */
export interface ZygoteChild {
  readonly pid: number;
  readonly pidfd: number;
}

export interface ZygoteAddress {
  /** The zygote's SEQPACKET socket. */
  readonly socket: string;
  /** The launcher, which starts a zygote when there is none. */
  readonly launcher: string;
}

const REPLY_TIMEOUT_MS = 10_000;
const MAX_MESSAGE = 200 * 1024;

/**
 * Has the zygote fork a child. Blocks for the milliseconds that takes. The descriptors stay the caller's.
 *
 * @throws TandemError unavailable when there is no zygote and none can be started, internal with the zygote's reason.
 */
export function forkFromZygote(
  zygote: ZygoteAddress,
  kind: RequestKind,
  fields: readonly (string | Uint8Array)[],
  fds: readonly number[],
): ZygoteChild {
  const message = encodeFields([kind, ...fields]);
  if (message.length <= MAX_MESSAGE) return ask(zygote, message, fds);
  const memfd = native.memfd("tandem-request", message);
  try {
    return ask(zygote, encodeFields([`${kind}@`]), [...fds, memfd]);
  } finally {
    closeSync(memfd);
  }
}

function ask(zygote: ZygoteAddress, message: Buffer, fds: readonly number[]): ZygoteChild {
  // A zygote that was just dying may still have taken the connection: the second one is a new zygote's.
  const child = askOnce(zygote, message, fds) ?? askOnce(zygote, message, fds);
  if (child === undefined)
    throw new TandemError("unavailable", `zygote ${zygote.socket}: closed the connection`);
  return child;
}

/** undefined when the zygote went away without an answer. */
function askOnce(zygote: ZygoteAddress, message: Buffer, fds: readonly number[]): ZygoteChild | undefined {
  const connection = connect(zygote);
  try {
    native.sendMessage(connection, message, fds);
    const reply = native.receiveMessage(connection, { timeoutMs: REPLY_TIMEOUT_MS });
    if (reply === undefined || reply.data.length === 0) return undefined;
    const text = reply.data.subarray(1).toString();
    const pidfd = reply.fds[0];
    if (reply.data[0] !== 0 || pidfd === undefined) throw new TandemError("internal", `zygote: ${text}`);
    return { pid: Number(text), pidfd };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EPIPE" || code === "ECONNRESET") return undefined;
    throw error;
  } finally {
    closeSync(connection);
  }
}

function connect(zygote: ZygoteAddress): number {
  try {
    return native.connectSeqpacket(zygote.socket);
  } catch {
    // Dead or never there: the launcher brings one up and returns when it answers.
    const started = spawnSync(zygote.launcher, ["zygote"], { encoding: "utf8", cwd: "/" });
    if (started.status !== 0) {
      throw new TandemError(
        "unavailable",
        `zygote cannot be started: ${started.stderr?.trim() ?? started.error?.message}`,
      );
    }
    return native.connectSeqpacket(started.stdout.trim());
  }
}
