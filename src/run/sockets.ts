import { closeSync, fstatSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { listenTcp } from "./listen.ts";
import type { RunRequest } from "./run-request.ts";

/** Sockets that a guest, or its host on its behalf, accepts connections at. */
export interface GrantedSockets {
  /** In the order of the guest's numbering. */
  readonly forGuest: readonly number[];
  /** Where an http component is served. */
  readonly http: { readonly fd: number; readonly address: string } | undefined;
  /** Of what was opened here, and not by the caller. */
  close(): void;
}

/**
 * Listens where the command line says, and takes what socket activation gives.
 *
 * @param activated descriptors of the caller's from 3 on
 * @throws TandemError as `listenTcp` does; failed_precondition when there is no socket of activation
 */
export function openSockets(wanted: RunRequest, activated: readonly number[]): GrantedSockets {
  const own: number[] = [];
  const close = (): void => {
    for (const fd of own.splice(0)) closeSync(fd);
  };
  const listen = (address: string, option: string): { fd: number; address: string } => {
    const socket = listenTcp(address, option);
    own.push(socket.fd);
    return socket;
  };
  try {
    const passed = wanted.listenFds ? requireSockets(activated) : [];
    const forGuest = [...passed, ...wanted.listen.map((address) => listen(address, "option --listen").fd)];
    const http = wanted.serve === undefined ? undefined : listen(wanted.serve.address, "option --addr");
    return { forGuest, http, close };
  } catch (error) {
    close();
    throw error;
  }
}

function requireSockets(fds: readonly number[]): readonly number[] {
  if (fds.length === 0)
    throw new TandemError(
      "failed_precondition",
      "option -S listenfd: LISTEN_FDS and LISTEN_PID name no socket",
    );
  const other = fds.findIndex((fd) => !fstatSync(fd).isSocket());
  if (other >= 0)
    throw new TandemError("invalid_argument", `option -S listenfd: descriptor ${3 + other} is no socket`);
  return fds;
}
