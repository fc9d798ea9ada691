import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, readSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";

/** A logging driver (`binary://path?key=value`, nerdctl's way): it reads the container's output from two pipes. */
export interface LoggingBinary {
  /** Write ends, meant for the process. */
  readonly stdout: number;
  readonly stderr: number;
  /** The process is gone: lets the driver read to the end, then ends it. */
  finish(): Promise<void>;
}

const READY_TIMEOUT_MS = 10_000;
const FINISH_GRACE_MS = 12_000;

/**
 * Starts a logging driver and waits until it says that it is ready (by closing descriptor 5).
 *
 * @throws TandemError invalid_argument for a URI without a path, not_found or permission_denied from exec.
 * @see shim-protocol §6.4: argv is the path, then each key and value; descriptors 3 and 4 are the streams, 5 is "ready".
 */
export function startLoggingBinary(
  uri: string,
  owner: { readonly id: string; readonly namespace: string },
): LoggingBinary {
  const url = new URL(uri);
  if (url.pathname === "" || !url.pathname.startsWith("/")) {
    throw new TandemError("invalid_argument", `stdout ${uri}: the logging binary needs an absolute path`);
  }
  const args = [...url.searchParams].flat();
  const stdout = native.pipe();
  const stderr = native.pipe();
  const ready = native.pipe();
  const child = spawn(decodeURIComponent(url.pathname), args, {
    stdio: ["ignore", "ignore", "ignore", stdout[0], stderr[0], ready[1]],
    env: { CONTAINER_ID: owner.id, CONTAINER_NAMESPACE: owner.namespace },
    detached: true,
  });
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  for (const fd of [stdout[0], stderr[0], ready[1]]) closeSync(fd);
  try {
    if (child.pid === undefined)
      throw new TandemError("not_found", `logging binary ${url.pathname}: cannot be executed`);
    waitReady(ready[0], url.pathname);
  } catch (error) {
    for (const fd of [stdout[1], stderr[1]]) closeSync(fd);
    child.kill("SIGKILL");
    throw error;
  } finally {
    closeSync(ready[0]);
  }
  return { stdout: stdout[1], stderr: stderr[1], finish: () => finish(child, exited) };
}

function waitReady(fd: number, path: string): void {
  // A byte or the end of the pipe: both mean ready. receiveMessage is for sockets; a bounded poll needs only readability.
  if (!native.waitReadable(fd, READY_TIMEOUT_MS)) {
    throw new TandemError(
      "deadline_exceeded",
      `logging binary ${path}: not ready after ${READY_TIMEOUT_MS / 1000} s`,
    );
  }
  readSync(fd, Buffer.alloc(1), 0, 1, null);
}

async function finish(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), FINISH_GRACE_MS);
  await exited;
  clearTimeout(timer);
}
