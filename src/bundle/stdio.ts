import { closeSync, constants, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { type LoggingBinary, startLoggingBinary } from "./logging-binary.ts";

/** Where a process's streams go, as Create and Exec name them: a FIFO, a URI (shim-protocol §6.4), or "" for nowhere. */
export interface StdioPaths {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** File descriptors that become 0, 1 and 2 of a process. They stay the caller's; the executor duplicates what it keeps. */
export interface Stdio {
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;
}

/** Who runs the logging binary for. */
export interface StdioOwner {
  readonly id: string;
  readonly namespace: string;
}

/**
 * The open streams of one process without a terminal. The process gets the FIFOs' own descriptors: nothing is copied.
 * For each FIFO the shim holds a keeper, so that a reader that goes away (containerd restarts) means a full pipe and not
 * SIGPIPE, and a writer that goes away does not mean the end of stdin.
 */
export interface OpenStdio {
  readonly fds: Stdio;
  /** The descriptors meant for the process were passed on; the shim's copies of them are closed. Keepers stay. */
  handedOver(): void;
  /** Drops the shim's own write end of stdin: the process sees its end once the client has closed too. */
  closeStdin(): void;
  /** After exit: waits, bounded, until what was written has a reader, then closes every end. Idempotent. */
  close(): Promise<void>;
}

const READER_GRACE_MS = 10_000;
const POLL_MS = 10;

/**
 * Opens the streams of a process that has no terminal.
 *
 * @throws TandemError naming the stream that cannot be opened, invalid_argument for an unsupported URI.
 */
export function openStdio(paths: StdioPaths, owner: StdioOwner): OpenStdio {
  const open: number[] = [];
  const outputs: Output[] = [];
  const track = (fd: number): number => {
    open.push(fd);
    return fd;
  };
  try {
    let stdinKeeper = -1;
    let stdin: number;
    if (paths.stdin === "") stdin = track(openSync("/dev/null", constants.O_RDONLY));
    else {
      // O_RDWR never blocks on a FIFO and is the keeper; the process's own end must not be able to write to itself.
      stdinKeeper = openStream(paths.stdin, constants.O_RDWR, "stdin");
      open.push(stdinKeeper);
      stdin = track(openStream(paths.stdin, constants.O_RDONLY, "stdin"));
    }
    const logger = paths.stdout.startsWith("binary://") ? startLoggingBinary(paths.stdout, owner) : undefined;
    const stdout = openOutput(paths.stdout, "stdout", logger);
    outputs.push(stdout);
    const stderr = openOutput(paths.stderr, "stderr", logger);
    outputs.push(stderr);
    return new Streams({ stdin, stdout: stdout.fd, stderr: stderr.fd }, stdinKeeper, outputs, logger);
  } catch (error) {
    for (const fd of open) closeSync(fd);
    for (const output of outputs) closeSync(output.fd);
    throw error;
  }
}

/** One output: the descriptor for the process, and the FIFO to watch at the end, if it is one. */
interface Output {
  readonly fd: number;
  readonly fifo: string | undefined;
}

function openOutput(target: string, name: "stdout" | "stderr", logger: LoggingBinary | undefined): Output {
  if (target === "") return { fd: openSync("/dev/null", constants.O_WRONLY), fifo: undefined };
  if (logger !== undefined) return { fd: name === "stdout" ? logger.stdout : logger.stderr, fifo: undefined };
  const scheme = /^([a-z+]+):\/\//.exec(target)?.[1];
  const path = scheme === undefined ? target : target.slice(scheme.length + 3);
  switch (scheme) {
    case undefined:
    case "fifo":
      // O_RDWR: does not wait for the client's reader, and keeps the pipe alive when that reader goes away.
      return { fd: openStream(path, constants.O_RDWR, name), fifo: path };
    case "file":
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      return {
        fd: openStream(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, name),
        fifo: undefined,
      };
    default:
      throw new TandemError(
        "invalid_argument",
        `${name}: unsupported scheme ${scheme}: use a fifo, file:// or binary://`,
      );
  }
}

function openStream(path: string, flags: number, name: string): number {
  try {
    return openSync(path, flags, 0o644);
  } catch (error) {
    throw TandemError.from(error, name);
  }
}

class Streams implements OpenStdio {
  readonly fds: Stdio;
  readonly #outputs: readonly Output[];
  readonly #logger: LoggingBinary | undefined;
  #stdinKeeper: number;
  #stdinOpen = true;
  #closing: Promise<void> | undefined;

  constructor(
    fds: Stdio,
    stdinKeeper: number,
    outputs: readonly Output[],
    logger: LoggingBinary | undefined,
  ) {
    this.fds = fds;
    this.#stdinKeeper = stdinKeeper;
    this.#outputs = outputs;
    this.#logger = logger;
  }

  handedOver(): void {
    if (!this.#stdinOpen) return;
    this.#stdinOpen = false;
    closeSync(this.fds.stdin);
    // A FIFO's descriptor stays: it is the keeper. A logger's pipe must see its end when the process is gone.
    for (const output of this.#outputs) if (output.fifo === undefined) closeSync(output.fd);
  }

  closeStdin(): void {
    if (this.#stdinKeeper < 0) return;
    closeSync(this.#stdinKeeper);
    this.#stdinKeeper = -1;
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    this.handedOver();
    this.closeStdin();
    const fifos = this.#outputs.filter((output) => output.fifo !== undefined);
    await Promise.all(fifos.map((output) => closeFifo(output.fd, output.fifo ?? "")));
    await this.#logger?.finish();
  }
}

/**
 * Closes the shim's end of an output FIFO. What is still in the pipe would be lost if no reader had opened it yet, so in
 * that case one is waited for: the kernel tells by ENXIO whether there is a reader, once our own read end is gone.
 */
async function closeFifo(fd: number, path: string): Promise<void> {
  if (native.fifoPending(fd) === 0) return closeSync(fd);
  let writer: number;
  try {
    writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // The client has removed the FIFO: nobody can come any more.
    return closeSync(fd);
  }
  closeSync(fd);
  const deadline = Date.now() + READER_GRACE_MS;
  while (!hasReader(path) && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  closeSync(writer);
}

function hasReader(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    // ENXIO: no reader yet. Anything else (the FIFO is gone) means that waiting has no point.
    return (error as NodeJS.ErrnoException).code !== "ENXIO";
  }
}
