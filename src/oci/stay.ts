import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { native } from "../native.ts";
import { processStat } from "../process-stat.ts";
import { Tenure } from "../zygote/tenure.ts";
import type { MadeContainers } from "./made-containers.ts";
import { Store } from "./store.ts";

/** After this time without a call and without a container the server ends; the next call brings a new one. */
const IDLE_MS = 15 * 60_000;
/**
 * The same for a server whose zygote is a lodger, for whose end whoever has adopted it waits; and in a passing mount namespace: the next
 * step of a build has another one, and a zygote of its own.
 */
const BRIEF_IDLE_MS = 2_000;
/** For calls that were on their way when the server gave its place up. */
const LAST_CALLS_MS = 200;
const SOCKET_NAME = "oci.sock";
/** For clients that hear nothing (native/client/silence.c), and their users. */
const PID_FILE = "oci.pid";

export interface StayOptions {
  /** The zygote's, in which the server's socket is. */
  readonly directory: string;
  readonly inPassingNamespace: boolean;
  /** Every `--root` that was ever asked about. */
  readonly roots: ReadonlySet<string>;
  readonly made: MadeContainers;
}

/**
 * How long the server stays: as long as there is something to do. Then, unless its zygote is a lodger, as long as somebody has a
 * container; in a passing namespace, which it keeps, only one that was made there.
 */
export class Stay {
  readonly #options: StayOptions;
  readonly #tenure = new Tenure(() => process.ppid);
  #running = 0;
  #idle: NodeJS.Timeout;
  /** Whether the socket's path was given up. */
  #retired = false;

  constructor(options: StayOptions) {
    this.#options = options;
    this.#idle = this.#wait();
  }

  /** Tells who it is: pid and start time. @throws as writing a file fails */
  announce(): void {
    const pid = native.getpid();
    writeFileSync(this.#path(PID_FILE), `${pid} ${processStat(pid)?.startTime}\n`);
  }

  get isLodger(): boolean {
    return this.#tenure.isLodger();
  }

  /** A call has come. */
  begin(): void {
    this.#running++;
    clearTimeout(this.#idle);
  }

  /** A call has been answered. */
  finish(): void {
    this.#running--;
    if (this.isLodger && this.#tenure.isReplaced(this.#options.directory)) this.#retire();
    if (this.#running === 0) this.#idle = this.#wait();
  }

  /** Ends as soon as what has begun is over. */
  leave(): void {
    this.#retire();
    if (this.#running > 0) return;
    clearTimeout(this.#idle);
    this.#idle = this.#wait();
  }

  #wait(): NodeJS.Timeout {
    const isBrief = this.#options.inPassingNamespace || this.isLodger;
    return setTimeout(() => this.#end(), this.#retired ? LAST_CALLS_MS : isBrief ? BRIEF_IDLE_MS : IDLE_MS);
  }

  #end(): void {
    if (!this.#retired && !this.isLodger && this.#isWanted()) {
      this.#idle = this.#wait();
      return;
    }
    this.#retire();
    // That of a server which has taken this one's place is not ours.
    if (this.#isAnnounced()) rmSync(this.#path(PID_FILE), { force: true });
    native.exitNow(0);
  }

  /** Whoever has a container will want something of it, and not wait for a new server then. */
  #isWanted(): boolean {
    const { roots, made, inPassingNamespace } = this.#options;
    if (inPassingNamespace) return !made.isEmpty;
    return [...roots].some((root) => new Store(root).ids().length > 0);
  }

  /** The next client finds nobody at the path, and has the zygote that is there now fork a server. */
  #retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    rmSync(this.#path(SOCKET_NAME), { force: true });
  }

  #isAnnounced(): boolean {
    try {
      return Number.parseInt(readFileSync(this.#path(PID_FILE), "latin1"), 10) === native.getpid();
    } catch {
      // It could not be written, or is gone.
      return false;
    }
  }

  #path(name: string): string {
    return join(this.#options.directory, name);
  }
}
