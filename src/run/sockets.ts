import { closeSync, fstatSync } from "node:fs";
import { emptySockaddr } from "../../wasm-host/network/sockaddr.ts";
import { socketOption } from "../../wasm-host/network/socket-option.ts";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
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
  const other = fds.findIndex((fd) => !isStream(fd) || native.socketOption(fd, socketOption.listens) !== 1);
  if (other >= 0)
    throw new TandemError(
      "invalid_argument",
      `option -S listenfd: descriptor ${3 + other} is no socket that listens for streams`,
    );
  return fds;
}

/**
 * A process that may use sockets can use those among its streams. A connection leads to one peer; any other socket, of datagrams or
 * not connected, leads wherever its holder says, also to unix sockets, and in the network namespace that it was made in.
 *
 * @param streams stdin, stdout and stderr; undefined: not the caller's
 * @throws TandemError invalid_argument
 */
export function requireConnections(streams: readonly (number | undefined)[]): void {
  const index = streams.findIndex((fd) => fd !== undefined && fstatSync(fd).isSocket() && !isConnection(fd));
  if (index < 0) return;
  const name = streamNames[index];
  throw new TandemError(
    "invalid_argument",
    `${name}: is a socket without a connection, by which a guest with a network would reach others: -S inherit-${name}=n`,
  );
}

const streamNames = ["stdin", "stdout", "stderr"] as const;

/**
 * What is in a directory is granted by --dir, and nothing by `< /etc`.
 * @throws TandemError invalid_argument
 */
export function refuseDirectories(streams: readonly (number | undefined)[]): void {
  const index = streams.findIndex((fd) => fd !== undefined && fstatSync(fd).isDirectory());
  if (index < 0) return;
  throw new TandemError("invalid_argument", `${streamNames[index]}: is a directory`);
}

/** SOCK_STREAM */
const STREAM = 1;

function isStream(fd: number): boolean {
  return fstatSync(fd).isSocket() && native.socketOption(fd, socketOption.type) === STREAM;
}

function isConnection(fd: number): boolean {
  return isStream(fd) && native.socketPeer(fd, emptySockaddr()) === 0;
}
