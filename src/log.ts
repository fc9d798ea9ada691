import { closeSync, constants, openSync, writeSync } from "node:fs";
import { type Logger, pino, stdSerializers } from "pino";

export type Log = Logger;

/** A log whose lines can be sent elsewhere: made once by the zygote, redirected by each child. */
export interface RedirectableLog {
  readonly log: Log;
  /**
   * From now on lines go to this FIFO, `log` of a bundle, which is opened with the first of them; undefined: to stderr. It is read by containerd; while
   * that restarts nobody reads, and a log never blocks: the line is dropped.
   */
  redirect(path: string | undefined, debug: boolean): void;
}

/**
 * One JSON line per message, as containerd's own log has it (`time`, `level`, `msg`, and fields such as `ns`, `id`, `err`), on
 * stderr until it is redirected.
 */
export function createLog(): RedirectableLog {
  const sink = new Sink();
  const log = pino(
    {
      level: "info",
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      // By its name: the bundler renames classes.
      serializers: { err: (error: Error) => ({ ...stdSerializers.err(error), type: error.name }) },
      formatters: { level: (label) => ({ level: label === "warn" ? "warning" : label }) },
    },
    sink,
  );
  return {
    log,
    redirect: (path, debug) => {
      sink.redirect(path);
      log.level = debug ? "debug" : "info";
    },
  };
}

const STDERR = 2;

class Sink {
  #path: string | undefined;
  #fd: number | undefined;

  redirect(path: string | undefined): void {
    if (this.#fd !== undefined && this.#fd !== STDERR) closeSync(this.#fd);
    this.#fd = undefined;
    this.#path = path;
  }

  write(line: string): void {
    this.#fd ??= this.#open();
    try {
      writeSync(this.#fd, line);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN" || code === "EPIPE") return;
      // A log that is broken for good must not take the shim down with it.
      if (this.#fd !== STDERR) closeSync(this.#fd);
      this.#fd = STDERR;
    }
  }

  #open(): number {
    if (this.#path === undefined) return STDERR;
    try {
      // O_RDWR does not wait for a reader, O_NONBLOCK drops what does not fit.
      return openSync(this.#path, constants.O_RDWR | constants.O_NONBLOCK);
    } catch {
      return STDERR; // No FIFO (a containerd that has none, a test): the zygote's log is next best.
    }
  }
}
