import { closeSync, constants, openSync, writeSync } from "node:fs";
import { type Logger, pino } from "pino";

export type Log = Logger;

/**
 * One JSON line per message, as containerd's own log has it (`time`, `level`, `msg`, and fields such as `ns`, `id`, `err`).
 * The bundle's `log` FIFO is read by containerd; while it restarts nobody reads, and a log never blocks: the line is dropped.
 */
export function createLog(options: { readonly path: string | undefined; readonly debug: boolean }): Log {
  let fd = 2;
  if (options.path !== undefined) {
    try {
      // O_RDWR does not wait for a reader, O_NONBLOCK drops what does not fit.
      fd = openSync(options.path, constants.O_RDWR | constants.O_NONBLOCK);
    } catch {
      fd = 2; // No FIFO (a containerd that has none, a test): the zygote's log is next best.
    }
  }
  return pino(
    {
      level: options.debug ? "debug" : "info",
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label === "warn" ? "warning" : label }) },
    },
    { write: (line: string) => writeLine(fd, line) },
  );
}

function writeLine(fd: number, line: string): void {
  try {
    writeSync(fd, line);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EAGAIN" || code === "EPIPE") return;
    // A log that is broken for good must not take the shim down with it.
    if (fd > 2 && code === "EBADF") closeSync(fd);
  }
}
