import { closeSync, constants, openSync, rmSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { runOk } from "../../../scripts/private-containerd/command.ts";
import { waitFor } from "../../../scripts/private-containerd/wait-for.ts";

/** FIFOs of one process, as a client of containerd makes them: it reads two and writes one. */
export interface Fifos {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
}

export async function makeFifos(prefix: string): Promise<Fifos> {
  const fifos = { stdin: `${prefix}-in`, stdout: `${prefix}-out`, stderr: `${prefix}-err` };
  await runOk("mkfifo", [fifos.stdin, fifos.stdout, fifos.stderr]);
  return fifos;
}

export function removeFifos(fifos: Fifos): void {
  for (const path of Object.values(fifos)) rmSync(path, { force: true });
}

/** The reading end. Opened before there is a writer, and open until the last writer has gone. */
export class FifoReader {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  #ended = false;

  constructor(path: string) {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd, readable: true, writable: false });
    // Who waits for output does so with a limit; an output that nobody waits for keeps no test alive.
    this.#socket.unref();
    this.#socket.on("data", (chunk: Buffer) => this.#chunks.push(chunk));
    this.#socket.on("end", () => {
      this.#ended = true;
    });
    this.#socket.on("error", () => {
      this.#ended = true;
    });
  }

  /** What has come so far. */
  get text(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  /** Everything, once every writer has closed. */
  async end(milliseconds = 10_000): Promise<string> {
    await waitFor(
      () => this.#ended,
      milliseconds,
      `the end of the output after ${JSON.stringify(this.text)}`,
    );
    return this.text;
  }

  /** Waits until the output contains this. */
  async shows(expected: string | RegExp, milliseconds = 10_000): Promise<string> {
    const found = (): boolean =>
      typeof expected === "string" ? this.text.includes(expected) : expected.test(this.text);
    await waitFor(found, milliseconds, `${String(expected)} in the output`).catch((cause: unknown) => {
      throw new Error(`${String(expected)} is not in ${JSON.stringify(this.text)}`, { cause });
    });
    return this.text;
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** The writing end; opens once somebody reads. */
export class FifoWriter {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  static async open(path: string): Promise<FifoWriter> {
    const open = (): { fd: number } => ({
      fd: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK),
    });
    return new FifoWriter((await waitFor(open, 5000, `a reader of ${path}`)).fd);
  }

  write(text: string): void {
    writeSync(this.#fd, text);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
