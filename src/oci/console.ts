import { closeSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { type Context, clientPath } from "./command.ts";
import type { Flags } from "./flags.ts";

export const consoleFlags: Flags = {
  "console-socket": { value: "SOCKET", help: "unix socket that gets the master side of the terminal" },
};

/** A terminal needs somebody at its other side. @throws TandemError invalid_argument */
export function requireConsole({ given }: Context, terminal: boolean, detach: boolean): void {
  const socket = given.text("console-socket");
  if (socket !== undefined && !terminal)
    throw new TandemError("invalid_argument", "--console-socket: the process has no terminal");
  if (socket === undefined && terminal && detach)
    throw new TandemError(
      "invalid_argument",
      "process.terminal: --console-socket is needed to detach from it",
    );
}

/** Hands the terminal's master to whoever listens at `--console-socket`. @throws TandemError naming the option */
export function sendConsole(context: Context, init: { console: number | undefined }): void {
  const socket = context.given.text("console-socket");
  if (socket === undefined || init.console === undefined) return;
  try {
    native.sendListener(clientPath(context, socket), Buffer.from("/dev/ptmx"), init.console);
  } catch (error) {
    throw TandemError.from(error, "--console-socket");
  }
  closeSync(init.console);
  init.console = undefined;
}
