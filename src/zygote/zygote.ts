import { closeSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { directories } from "../directories.ts";
import { native } from "../native.ts";
import type { ZygoteMessage } from "../native-surface.ts";
import { encodeReply, openRequest } from "./request.ts";

/** What a forked child becomes. It owns the descriptors. */
export type Role = (fields: readonly Buffer[], fds: readonly number[]) => void;

export interface ZygoteOptions {
  /** Directory of the zygote's socket; made by the launcher, root's, 0700. */
  readonly directory: string;
  readonly roles: Readonly<Record<string, Role>>;
  /** Everything that children should find done: modules loaded, code compiled, objects made. */
  warm(): Promise<void>;
}

const IDLE_CHECK_MS = 60_000;
export const SOCKET_NAME = "zygote.sock";

/**
 * The zygote: warms up, then does nothing but fork. It waits in the kernel, not in an event loop, so that a child finds no
 * handle of its parent's in its own loop. It holds no state of any container: when it dies, nobody notices but the next start.
 *
 * Returns in the child only, when the role has been taken up.
 */
export async function runZygote(options: ZygoteOptions): Promise<void> {
  native.noteDescriptors();
  await options.warm();
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const socket = join(options.directory, SOCKET_NAME);
  // The launcher holds the lock under which a zygote is started: whoever left this socket is dead.
  rmSync(socket, { force: true });
  native.setProcessName("tandem-zygote");
  native.autoReap();
  const listener = native.listenSeqpacket(socket);
  writeFileSync(join(options.directory, "zygote.pid"), `${native.getpid()}\n`);
  serveRequests(listener, options.roles, () => end(options.directory));
}

/** Forks on request, for ever; returns in a child, when its role has been taken up. */
export function serveRequests(listener: number, roles: ZygoteOptions["roles"], end: () => never): void {
  const life = new Life();
  for (;;) {
    const message = native.acceptRequest(listener, IDLE_CHECK_MS);
    if (message !== undefined) {
      if (handle(message, listener, roles, life)) return;
    } else if (life.isOver()) end();
  }
}

/** Returns true in the child. */
function handle(message: ZygoteMessage, listener: number, roles: ZygoteOptions["roles"], life: Life): boolean {
  const reply = (answer: Parameters<typeof encodeReply>[0], fds: number[] = []): void => {
    try {
      native.sendMessage(message.fd, encodeReply(answer), fds);
    } catch {
      // Whoever asked is gone; the child finds its own socket without a peer and ends.
    }
  };
  let { fds } = message;
  let fields: readonly Buffer[] = [];
  try {
    const request = openRequest(message.data, fds);
    ({ fds, fields } = request);
    const kind = request.fields[0]?.toString() ?? "";
    const role = roles[kind];
    if (role === undefined) throw new Error(`unknown request ${JSON.stringify(kind)}`);
    const pidNamespace = kind === "wasm" ? pidNamespaceOf(request.fields, fds) : {};
    const child = native.fork(pidNamespace);
    if (child.pid === 0) {
      closeSync(listener);
      closeSync(message.fd);
      role(request.fields, fds);
      return true;
    }
    life.born(child.pid, request.fields);
    reply({ pid: child.pid }, [child.pidfd]);
    closeSync(child.pidfd);
  } catch (error) {
    reply({ error: error instanceof Error ? error.message : String(error) });
  }
  // A config holds a container's secrets, and every later child has all of this memory.
  for (const part of [message.data, ...fields]) part.fill(0);
  for (const fd of fds) closeSync(fd);
  closeSync(message.fd);
  return false;
}

/** Field 1 of a "wasm" request: "new", or the index of the descriptor of the pid namespace to be born into. */
function pidNamespaceOf(fields: readonly Buffer[], fds: readonly number[]): Parameters<typeof native.fork>[0] {
  const choice = fields[1]?.toString() ?? "new";
  if (choice === "new") return { newPid: true };
  const fd = fds[Number(choice)];
  if (fd === undefined) throw new Error(`pid namespace ${choice}: no such descriptor`);
  return { pidNamespace: fd };
}

function end(directory: string): never {
  rmSync(join(directory, SOCKET_NAME), { force: true });
  rmSync(join(directory, "zygote.pid"), { force: true });
  native.exitNow(0);
}

/**
 * Decides when a zygote may go: when none of its children is left, and every containerd that it ever served is gone or starts
 * shims of another build by now.
 */
class Life {
  readonly #build = buildId();
  readonly #children = new Set<number>();
  readonly #containerds = new Set<string>();

  born(pid: number, fields: readonly Buffer[]): void {
    const kind = fields[0]?.toString();
    // A resolver ends by itself when nobody asks; it is no reason to stay.
    if (kind !== "resolver") this.#children.add(pid);
    const address = kind === "shim" ? fields[3]?.toString() : undefined;
    if (address !== undefined && address !== "") this.#containerds.add(address);
  }

  isOver(): boolean {
    for (const pid of this.#children) if (!existsSync(`/proc/${pid}`)) this.#children.delete(pid);
    if (this.#children.size > 0) return false;
    return buildId() !== this.#build || [...this.#containerds].every((address) => !isListening(address));
  }
}

/** What is installed now; "" in a checkout, which has none. */
function buildId(): string {
  const path = join(directories.lib, "build-id");
  return existsSync(path) ? readFileSync(path, "latin1") : "";
}

/** A stream socket refuses a SEQPACKET peer with EPROTOTYPE, but only while somebody listens (unix(7)). */
function isListening(path: string): boolean {
  try {
    closeSync(native.connectSeqpacket(path));
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPROTOTYPE";
  }
}
