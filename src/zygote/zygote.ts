import { closeSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildId } from "../build-id.ts";
import { native } from "../native.ts";
import type { ZygoteMessage } from "../native-surface.ts";
import { SIGKILL } from "../signals.ts";
import { removeDeadSocket } from "./dead-socket.ts";
import type { Nursery } from "./nursery.ts";
import { decodeFields, encodeReply, openRequest, toShimParameters } from "./request.ts";
import { type SpareKinds, Spares } from "./spares.ts";
import { PID_FILE, Tenure } from "./tenure.ts";

/** What a forked child becomes. It owns the descriptors. */
export type Role = (fields: readonly Buffer[], fds: readonly number[]) => void;

export interface ZygoteOptions {
  /** Directory of the zygote's socket; made by the launcher, root's, 0700. */
  readonly directory: string;
  readonly roles: Readonly<Record<string, Role>>;
  /** Where guests are born when this process may not build their wall. */
  readonly nursery?: Nursery;
  /** Then it goes as soon as nobody needs it: it keeps a mount namespace that nobody else may have a use for. */
  readonly inPassingNamespace: boolean;
  /** Does everything that children should find done: modules loaded, code compiled, objects made. */
  warm(): Promise<SpareKinds>;
}

const IDLE_CHECK_MS = 60_000;
/** The same for a zygote that keeps whoever has adopted it, or a mount namespace. */
const BRIEF_CHECK_MS = 2_000;
/** A start that has just been served needs the cores more than the next one's spare does. */
const REFILL_DELAY_MS = 20;
export const SOCKET_NAME = "zygote.sock";

/**
 * The zygote: warms up, then does nothing but fork. It waits in the kernel, not in an event loop, so that a child finds no
 * handle of its parent's in its own loop. It holds no state of any container: when it dies, nobody notices but the next start.
 *
 * Returns in the child only, when the role has been taken up.
 */
export async function runZygote(options: ZygoteOptions): Promise<void> {
  native.noteDescriptors();
  const kinds = await options.warm();
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const socket = join(options.directory, SOCKET_NAME);
  // First: from here on a zygote that this one replaces leaves the socket alone.
  writeFileSync(join(options.directory, PID_FILE), `${native.getpid()}\n`);
  // The launcher holds the lock under which a zygote is started: whoever left this socket is dead.
  rmSync(socket, { force: true });
  native.setProcessName("tandem-zygote");
  native.autoReap();
  const { roles, nursery, inPassingNamespace } = options;
  serveRequests({
    source: listenerSource(native.listenSeqpacket(socket)),
    roles,
    ...(nursery === undefined ? {} : { nursery }),
    inPassingNamespace,
    spares: new Spares(kinds, roles),
    tenure: new Tenure(native.getpid),
    end: () => end(options.directory),
  });
}

/** Where requests come from. */
export interface RequestSource {
  /** Blocks; undefined when none has come in time. */
  next(timeoutMs: number): ZygoteMessage | undefined;
  /** In a child, which answers none. */
  close(): void;
}

export function listenerSource(listener: number): RequestSource {
  return {
    next: (timeoutMs) => native.acceptRequest(listener, timeoutMs),
    close: () => closeSync(listener),
  };
}

export interface ServeOptions {
  readonly source: RequestSource;
  readonly roles: ZygoteOptions["roles"];
  readonly nursery?: Nursery;
  readonly spares: Spares;
  /** Of a zygote that serves; the rehearsal's stays until it is ended. */
  readonly tenure?: Tenure;
  readonly inPassingNamespace?: boolean;
  end(): never;
}

/** Forks on request, for ever; returns in a child, when its role has been taken up. */
export function serveRequests(options: ServeOptions): void {
  const { source, spares, tenure, nursery, inPassingNamespace = false } = options;
  const closeInherited = (): void => {
    source.close();
    nursery?.close();
  };
  const life = new Life();
  for (;;) {
    const check = inPassingNamespace || tenure?.isLodger() === true ? BRIEF_CHECK_MS : IDLE_CHECK_MS;
    const message = source.next(spares.isFull ? check : REFILL_DELAY_MS);
    if (message?.peerError !== undefined) {
      reply(message, { error: message.peerError });
      closeSync(message.fd);
    } else if (message?.peerPid === 0) {
      turnAway(message);
    } else if (message !== undefined) {
      const answering = { ...options, closeInherited };
      const isChild = isForNursery(message, nursery)
        ? passOn(message, answering)
        : handle(message, answering, life);
      if (isChild) return;
    } else if (!spares.isFull) {
      if (spares.refill(closeInherited)) return;
    } else if (life.isOver()) {
      spares.closeAll();
      options.end();
    }
  }
}

interface Answering extends ServeOptions {
  closeInherited(): void;
}

function isForNursery({ data }: ZygoteMessage, nursery: Nursery | undefined): boolean {
  return nursery !== undefined && /^wasm@?$/.test(kindOf(decodeFields(data)));
}

/** Has the nursery answer. Returns true in the nursery, when this is its beginning; then it is asked by the parent. */
function passOn(message: ZygoteMessage, { nursery, spares, closeInherited }: Answering): boolean {
  try {
    const isNursery = nursery?.begin(() => {
      closeInherited();
      spares.closeAll();
      for (const fd of [message.fd, ...message.fds]) closeSync(fd);
      // Its first guest's secrets, in what is every later guest's memory.
      message.data.fill(0);
    });
    if (isNursery === true) return true;
    nursery?.pass(message);
  } catch (error) {
    reply(message, { error: error instanceof Error ? error.message : String(error) });
  }
  message.data.fill(0);
  for (const fd of [message.fd, ...message.fds]) closeSync(fd);
  return false;
}

/** False when whoever asked is gone. */
function reply(
  { fd }: ZygoteMessage,
  answer: Parameters<typeof encodeReply>[0],
  fds: readonly number[] = [],
): boolean {
  try {
    native.sendMessage(fd, encodeReply(answer), fds);
    return true;
  } catch {
    return false;
  }
}

/** Answers one request. Returns true in the child. */
function handle(message: ZygoteMessage, options: Answering, life: Life): boolean {
  let { fds } = message;
  let fields: readonly Buffer[] = [];
  try {
    const spare = takeSpare(message, options.spares);
    const request =
      spare === undefined ? openRequest(message.data, fds) : { fields: decodeFields(message.data), fds };
    ({ fds, fields } = request);
    const child = spare ?? forkFor(request, options);
    if (child.pid === 0) {
      options.closeInherited();
      closeSync(message.fd);
      options.spares.closeAll();
      options.roles[kindOf(request.fields)]?.(request.fields, fds);
      return true;
    }
    if (!reply(message, { pid: child.pid }, [child.pidfd])) abandon(child, request.fields);
    closeSync(child.pidfd);
    life.born(child.pid, request.fields);
  } catch (error) {
    reply(message, { error: error instanceof Error ? error.message : String(error) });
  }
  // A config holds a container's secrets, and every later child has all of this memory.
  for (const part of [message.data, ...fields]) part.fill(0);
  for (const fd of fds) closeSync(fd);
  closeSync(message.fd);
  return false;
}

/** Whoever asked is dead, and nothing is done for it: only its pod's socket, which it bound itself, must not stay. */
function turnAway({ fd, data, fds }: ZygoteMessage): void {
  let own = fds;
  let socket: string | undefined;
  try {
    const request = openRequest(data, fds);
    own = request.fds;
    if (kindOf(request.fields) === "shim") socket = toShimParameters(request.fields).socketPath;
    for (const part of [data, ...request.fields]) part.fill(0);
  } catch {
    // Not even a request: its sender has no use for an answer.
  }
  for (const one of [fd, ...own]) closeSync(one);
  if (socket !== undefined) removeDeadSocket(socket);
}

/** Nobody was told a shim's address when its launcher is dead; a wasm process finds its pipes without a peer and ends itself. */
function abandon(child: Child, fields: readonly Buffer[]): void {
  if (kindOf(fields) !== "shim") return;
  native.pidfdSendSignal(child.pidfd, SIGKILL);
  rmSync(toShimParameters(fields).socketPath, { force: true });
}

function kindOf(fields: readonly Buffer[]): string {
  return fields[0]?.toString() ?? "";
}

type Child = { readonly pid: number; readonly pidfd: number };

function takeSpare({ data, fds }: ZygoteMessage, spares: Spares): Child | undefined {
  const fields = decodeFields(data);
  const kind = kindOf(fields);
  // A spare was born into a pid namespace of its own already.
  if (kind === "wasm" && fields[1]?.toString() !== "new") return undefined;
  return spares.take(kind, data, fds);
}

function forkFor(
  { fields, fds }: { fields: readonly Buffer[]; fds: readonly number[] },
  options: ServeOptions,
): Child {
  const kind = kindOf(fields);
  if (options.roles[kind] === undefined) throw new Error(`unknown request ${JSON.stringify(kind)}`);
  return native.fork(kind === "wasm" ? pidNamespaceOf(fields, fds) : {});
}

/** Field 1 of a "wasm" request: "new", or the index of the descriptor of the pid namespace to be born into. */
function pidNamespaceOf(
  fields: readonly Buffer[],
  fds: readonly number[],
): Parameters<typeof native.fork>[0] {
  const choice = fields[1]?.toString() ?? "new";
  if (choice === "new") return { newPid: true };
  const fd = fds[Number(choice)];
  if (fd === undefined) throw new Error(`pid namespace ${choice}: no such descriptor`);
  return { pidNamespace: fd };
}

function end(directory: string): never {
  // What is there may belong to a zygote that has taken this one's place.
  if (!new Tenure(native.getpid).isReplaced(directory)) {
    rmSync(join(directory, SOCKET_NAME), { force: true });
    rmSync(join(directory, PID_FILE), { force: true });
  }
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

/** A stream socket refuses a SEQPACKET peer with EPROTOTYPE, but only while somebody listens (unix(7)). */
function isListening(path: string): boolean {
  try {
    closeSync(native.connectSeqpacket(path));
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPROTOTYPE";
  }
}
