import { closeSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { type Context, clientPath } from "./command.ts";
import type { Flags } from "./flags.ts";

export const pidfdFlags: Flags = {
  "pidfd-socket": { value: "SOCKET", help: "unix socket that gets a pidfd of the process (pidfd_open(2))" },
};

/** While the process is the client's and not reaped, its number is its own. @throws TandemError naming the option */
export function sendPidfd(context: Context, pid: number): void {
  const socket = context.given.text("pidfd-socket");
  if (socket === undefined || socket === "") return;
  let pidfd: number | undefined;
  try {
    pidfd = native.pidfdOpen(pid);
    native.sendListener(clientPath(context, socket), Buffer.from("pidfd"), pidfd);
  } catch (error) {
    throw TandemError.from(error, "--pidfd-socket");
  } finally {
    if (pidfd !== undefined) closeSync(pidfd);
  }
}
