import { closeSync, constants, openSync, writeSync } from "node:fs";
import { TandemError } from "../errors.ts";

/** `--log FILE --log-format text|json`: the lines of one command line, for callers that read them (go-runc, conmon). */
export class CallLog {
  readonly #path: string | undefined;
  readonly #format: "text" | "json";

  /** @throws TandemError invalid_argument for another format, or naming the option when the file cannot be written */
  constructor(path: string | undefined, format: string) {
    if (format !== "text" && format !== "json")
      throw new TandemError("invalid_argument", `--log-format ${format}: is text or json`);
    try {
      // Now, because a caller that finds nothing in it must be able to rely on that.
      if (path !== undefined) closeSync(openLog(path));
    } catch (error) {
      throw TandemError.from(error, "--log");
    }
    this.#path = path;
    this.#format = format;
  }

  /** @throws TandemError naming the option when the file cannot be written */
  add(level: "error" | "warning" | "debug", msg: string): void {
    if (this.#path === undefined) return;
    const time = new Date().toISOString();
    const line =
      this.#format === "json"
        ? JSON.stringify({ level, msg, time })
        : `time=${JSON.stringify(time)} level=${level} msg=${JSON.stringify(msg)}`;
    let fd: number | undefined;
    try {
      fd = openLog(this.#path);
      writeSync(fd, `${line}\n`);
    } catch (error) {
      throw TandemError.from(error, "--log");
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }
}

/** O_NONBLOCK: a FIFO that nobody reads must not hold up the other command lines. */
function openLog(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = constants;
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0o644);
}
