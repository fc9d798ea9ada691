import { closeSync, readFileSync } from "node:fs";
import { getSystemErrorMessage, getSystemErrorName } from "node:util";
import { TandemError } from "../errors.ts";
import type { CloneOptions, SpawnedInit } from "../executor/spawn-init.ts";
import { native } from "../native.ts";
import { type CallRequest, encodeProgram, encodeSpawn, encodeWait, toClient, toServer } from "./protocol.ts";
import { sendSignal } from "./recorded-process.ts";

interface Answer {
  readonly data: Buffer;
  readonly fds: readonly number[];
}

/** Bytes of output in one message. */
const CHUNK = 48 * 1024;
/** How long to leave a client alone that does not read. */
const RETRY_MS = 5;
const PATIENCE_MS = 30_000;

/** How the client treats the process that it clones. */
export interface ChildOptions {
  /** How many of its descriptors from 3 on the process gets. */
  readonly preserved: number;
  /** It waits for the process from the start. */
  readonly wait: boolean;
}

/** A client that was looked at when it called (native/addon/unix_socket.cc). */
export interface ClientProcess {
  readonly pid: number;
  readonly pidfd: number;
}

/** One command line that a client brought, and the client as its hands. */
export class Call {
  /** The client's. */
  readonly pid: number;
  readonly cwd: string;
  readonly env: ReadonlyMap<string, string>;
  readonly args: readonly string[];
  /** Fires when the client is gone, or the call is interrupted. */
  readonly signal: AbortSignal;
  /** Fires when the call is not to be gone on with, whereas its client waits for an answer. */
  readonly interrupted: AbortSignal;
  readonly #socket: number;
  readonly #pidfd: number;
  readonly #gone = new AbortController();
  readonly #interruption = new AbortController();
  readonly #stopWatching: () => void;
  readonly #answers: Answer[] = [];
  #waiting: PromiseWithResolvers<Answer> | undefined;
  #sending: Promise<void> = Promise.resolve();
  #closed = false;
  #isWaiting = false;

  /** Owns the socket and the pidfd from now on. */
  constructor(socket: number, request: CallRequest, client: ClientProcess) {
    this.#socket = socket;
    this.pid = client.pid;
    this.#pidfd = client.pidfd;
    this.cwd = request.cwd;
    this.env = request.env;
    this.args = request.args;
    this.interrupted = this.#interruption.signal;
    this.signal = AbortSignal.any([this.#gone.signal, this.interrupted]);
    this.#stopWatching = native.onReadable(socket, () => this.#receive());
  }

  /**
   * What `read` finds of the client by its number, in /proc. It counts only if the client is there afterwards: then the number was its
   * own all the time, and nobody's who got it later.
   *
   * @param drop what to do with what was found of somebody else
   * @throws TandemError unavailable when the client is gone; else as `read`
   */
  lookAtClient<T>(read: (pid: number) => T, drop: (found: T) => void = () => undefined): T {
    let found: T;
    try {
      found = read(this.pid);
    } catch (error) {
      throw this.#isThere() ? error : gone();
    }
    if (this.#isThere()) return found;
    drop(found);
    throw gone();
  }

  #isThere(): boolean {
    return !this.#closed && sendSignal(this.#pidfd, 0);
  }

  /** What waits for the client, or looks at `signal`, ends with this reason. */
  interrupt(reason: TandemError): void {
    this.#interruption.abort(reason);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(reason);
  }

  write(text: string): void {
    this.#print(toClient.output, text);
  }

  writeError(text: string): void {
    this.#print(toClient.error, text);
  }

  /** Has the client see whether it can start a zygote that is nobody's lodger (src/zygote/tenure.ts). */
  renewHousehold(): void {
    this.#enqueue(Buffer.of(toClient.renew));
  }

  /** Gives the client a guest to begin, by a byte in `go`, and to signal; it ends with the status that `exit` says. */
  async giveGuest({ pidfd, go }: { readonly pidfd: number; readonly go: number }): Promise<void> {
    await this.#sending;
    this.#send(Buffer.of(toClient.guest), [pidfd, go]);
  }

  /** Has the client clone container-init as its child. @throws TandemError as clone(2) and setns(2) fail there */
  async clone(options: CloneOptions, { preserved, wait }: ChildOptions): Promise<SpawnedInit> {
    const { cgroupDirectory, joinNamespaces } = options;
    const message = encodeSpawn({
      newNamespaces: options.newNamespaces,
      preserved,
      ownStdio: options.stdio !== undefined,
      hasCgroupDirectory: cgroupDirectory !== undefined,
      wait,
      oomScoreAdj: options.oomScoreAdj,
      joins: joinNamespaces.map(({ type }) => type),
      cgroupFiles: options.cgroupFiles,
    });
    const fds = [options.executable, options.socket, ...joinNamespaces.map(({ fd }) => fd)];
    if (cgroupDirectory !== undefined) fds.splice(2, 0, cgroupDirectory);
    this.#send(message, fds);
    this.#isWaiting = wait;
    return await this.#spawned();
  }

  /** Has the client execute a program as its child, with its own 0, 1 and 2. @throws TandemError as posix_spawn(3) fails there */
  async execute(path: string, args: readonly string[], fds: readonly number[]): Promise<SpawnedInit> {
    this.#send(encodeProgram(path, args), fds);
    return await this.#spawned();
  }

  async #spawned(): Promise<SpawnedInit> {
    const answer = await this.#answer();
    const [pidfd] = answer.fds;
    if (answer.data[0] === toServer.spawned && pidfd !== undefined)
      return { pid: answer.data.readUInt32LE(1), pidfd };
    const errno = answer.data.readUInt32LE(1);
    const text = `${answer.data.toString("utf8", 5)}: ${getSystemErrorMessage(-errno)}`;
    throw TandemError.from(Object.assign(new Error(text), { code: getSystemErrorName(-errno) }));
  }

  /**
   * The client's whole stdin, or a file as the client sees it: at most 16 MiB.
   *
   * @throws TandemError as open(2) and read(2) fail there
   */
  async readInput(path = ""): Promise<Buffer> {
    this.#send(Buffer.concat([Buffer.of(toClient.input), Buffer.from(path)]));
    const { data, fds } = await this.#answer();
    const [memfd] = fds;
    if (memfd === undefined) {
      const errno = data.readUInt32LE(1);
      const text = `${path || "stdin"}: ${getSystemErrorMessage(-errno)}`;
      throw TandemError.from(Object.assign(new Error(text), { code: getSystemErrorName(-errno) }));
    }
    try {
      return readFileSync(`/proc/self/fd/${memfd}`);
    } finally {
      closeSync(memfd);
    }
  }

  /**
   * Has the client wait for a child of its own, with signals and, if there is one, the terminal passed on.
   *
   * @returns exit code, or 128 + signal
   */
  async waitForChild(pid: number, terminal: number | undefined): Promise<number> {
    if (!this.#isWaiting) {
      await this.#sending;
      this.#send(encodeWait(pid), terminal === undefined ? [] : [terminal]);
    }
    return (await this.#answer()).data.readUInt32LE(1);
  }

  /** The client's end; nothing can be said after it. */
  async exit(status: number): Promise<void> {
    this.#enqueue(Buffer.of(toClient.exit, status));
    await this.#sending;
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopWatching();
    closeSync(this.#socket);
    closeSync(this.#pidfd);
    for (const { fds } of this.#answers.splice(0)) for (const fd of fds) closeSync(fd);
  }

  #print(kind: number, text: string): void {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += CHUNK)
      this.#enqueue(Buffer.concat([Buffer.of(kind), bytes.subarray(at, at + CHUNK)]));
  }

  /** Output may have to wait for a client that waits for whoever reads it. */
  #enqueue(message: Buffer): void {
    this.#sending = this.#sending.then(() => this.#sendPatiently(message));
  }

  async #sendPatiently(message: Buffer): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; !this.#closed && !this.#gone.signal.aborted; ) {
      try {
        this.#send(message);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || Date.now() > end) {
          // Nobody is there to read it, or to be told.
          this.#gone.abort(gone());
          return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  #send(message: Buffer, fds: readonly number[] = []): void {
    native.sendMessage(this.#socket, message, fds);
  }

  #answer(): Promise<Answer> {
    const ready = this.#answers.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.signal.aborted) return Promise.reject(this.signal.reason);
    this.#waiting = Promise.withResolvers<Answer>();
    return this.#waiting.promise;
  }

  #receive(): void {
    const answer = this.#receiveOnce();
    if (answer === undefined) return;
    if (answer.data[0] === toServer.ping) {
      // In order with what is on its way, to a client that reads.
      this.#enqueue(Buffer.of(toClient.pong));
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (answer.data.length === 0) {
      this.#stopWatching();
      this.#gone.abort(gone());
      waiting?.reject(gone());
    } else if (waiting !== undefined) waiting.resolve(answer);
    else this.#answers.push(answer);
  }

  #receiveOnce(): Answer | undefined {
    try {
      return native.receiveMessage(this.#socket, { nonBlocking: true });
    } catch {
      // ECONNRESET: it ended with something of ours unread.
      return { data: Buffer.alloc(0), fds: [] };
    }
  }
}

function gone(): TandemError {
  return new TandemError("unavailable", "the client was killed");
}
