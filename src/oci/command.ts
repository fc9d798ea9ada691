import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { TandemError } from "../errors.ts";
import type { LinuxHost } from "../executor/linux-init.ts";
import type { Call, ChildOptions } from "./call.ts";
import type { Flags, Given } from "./flags.ts";
import type { MadeContainers } from "./made-containers.ts";
import type { Store } from "./store.ts";

/** What a command has at hand. */
export interface Context {
  readonly call: Call;
  /** Options and operands of the command. */
  readonly given: Given;
  readonly store: Store;
  /** `--systemd-cgroup` */
  readonly systemdCgroup: boolean;
  /** `--cgroup-manager disabled` */
  readonly noCgroup: boolean;
  /** `--criu` */
  readonly criu: string | undefined;
  /** container-init, sealed. */
  readonly containerInit: number;
  readonly made: MadeContainers;
  /** How to make processes as the client's children. */
  host(child: ChildOptions): Omit<LinuxHost, "noPivotRoot" | "noNewKeyring">;
  /**
   * Does what changes the container of the first operand once all that came before is over: none of it twice at once, nor creating beside
   * deleting.
   *
   * @param whenBusy fails where there is no use in waiting
   */
  alone<T>(work: () => Promise<T>, whenBusy?: () => void): Promise<T>;
  /** Does what `interruptOthers` of another call reaches, beside whatever else is done to that container. */
  interruptible<T>(work: () => Promise<T>): Promise<T>;
  /** Has what is done to that container, by whatever other call, end soon. */
  interruptOthers(reason: TandemError): void;
  /** Does work when the command is done, whether it failed or not, and nothing waits for this container any more. It may not throw. */
  afterwards(work: () => Promise<void>): void;
  /** A line in the log of this command line. */
  warn(message: string): void;
}

/** One verb of the command line. */
export interface Command {
  readonly summary: string;
  /** Operands, as the help shows them. */
  readonly operands: string;
  readonly flags: Flags;
  /** What follows the first operand is not ours. */
  readonly inOrder?: boolean;
  /** Exit status when it fails; 1 unless said otherwise. */
  readonly failure?: number;
  /** @returns the exit status */
  run(context: Context): Promise<number>;
}

/** The first operand. @throws TandemError invalid_argument without one, or with more than `most` operands */
export function containerId({ given }: Context, most = 1): string {
  const [id] = given.operands;
  if (id === undefined || id === "") throw new TandemError("invalid_argument", "container id: is missing");
  if (given.operands.length > most)
    throw new TandemError("invalid_argument", `unexpected ${given.operands.slice(most).join(" ")}`);
  return id;
}

/** A path as the client means it. @throws TandemError failed_precondition where its working directory is gone */
export function clientPath({ call }: Pick<Context, "call">, path: string): string {
  if (!path.startsWith("/") && call.cwd === "")
    throw new TandemError("failed_precondition", `${path}: the working directory does not exist`);
  return resolve(call.cwd, path);
}

/**
 * A file as the client means it. What is no plain file (a pipe of the client's, by /dev/fd) only the client can read, and waiting for
 * it must keep nobody else.
 *
 * @throws TandemError as open(2) fails
 */
export async function readClientFile({ call }: Pick<Context, "call">, path: string): Promise<string> {
  const file = clientPath({ call }, path);
  const isPlain =
    !/^\/(?:dev|proc)\//.test(file) && statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  return isPlain ? readFileSync(file, "utf8") : (await call.readInput(file)).toString();
}
