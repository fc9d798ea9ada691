import { closeSync, readSync, writeSync } from "node:fs";
import { setEngineForLongRuns } from "../src/engine.ts";
import { TandemError } from "../src/errors.ts";
import { native } from "../src/native.ts";
import { findNativeCode } from "../src/native-code.ts";
import type { StatusLine, WasmConfig } from "./config.ts";
import { keepDeepStacks } from "./debug/backtrace.ts";
import { denials } from "./debug/denials.ts";
import { grantLine } from "./debug/grant-line.ts";
import { exitStatuses, statusFromFailure } from "./exit.ts";
import { guestStackBytes, useGuestStack } from "./guest-stack.ts";
import { enterIsolation, type WasmHost } from "./isolation.ts";
import { LimitReached } from "./limits/limit-reached.ts";
import { usage } from "./limits/usage.ts";
import { watchTime } from "./limits/watch-time.ts";
import { reportLine, writeLine, writeText } from "./report.ts";
import { encodeExit, encodeStatus } from "./status-line.ts";
import { prepareWorkload, type Run } from "./workload.ts";

/** Descriptors of a "wasm" request (config.ts). */
const [STDIN, STDOUT, STDERR, GO, STATUS] = [0, 1, 2, 3, 4];

/**
 * A freshly forked process becomes a wasm container: prepares the workload behind the kernel's wall, says that it is ready, waits
 * for Start, runs. Never gives the process back: it ends with the guest.
 */
export function becomeWasmProcess(host: WasmHost, fields: readonly Buffer[], fds: readonly number[]): void {
  const status = fds[STATUS] ?? -1;
  const go = fds[GO] ?? -1;
  const say = (line: StatusLine): void => {
    writeSync(status, encodeStatus(line));
  };
  const code = host.code?.forGuest();
  let run: Run;
  let config: WasmConfig;
  let stack: number | undefined;
  try {
    config = JSON.parse(fields[2]?.toString() ?? "") as WasmConfig;
    const listeners = fds.slice(STATUS + 1, STATUS + 1 + config.listeners);
    takeStdio(fds, listeners);
    native.setProcessName("tandem-wasm");
    // kill(0) reaches the whole process group, in whatever pid namespace its members are: the zygote's must not be the guest's.
    native.setSession();
    native.exitOnSignal(status);
    if (config.log === "debug") denials.switchOn(STDERR);
    usage.begin({ limits: config.grant.limits });
    run = prepareWorkload(config, {
      stdio: { stdin: STDIN, stdout: STDOUT, stderr: STDERR },
      listeners,
      code,
      threads: { program: host.threadProgram, statusPipe: status, stackBytes: config.stackBytes },
      enterIsolation: (needs) =>
        enterIsolation(host, config, { ...needs, keep: [go, status, ...needs.keep] }),
    });
    stack = guestStackBytes(config.stackBytes);
    say(code === undefined ? { ready: true } : { ready: true, code: code.report() });
  } catch (error) {
    // Create fails with the reason.
    const failure = TandemError.from(error);
    const { code, message } = failure;
    try {
      say({ error: message, code, ...(failure instanceof LimitReached ? { limit: failure.limit } : {}) });
    } finally {
      native.exitNow(exitStatuses.hostError);
    }
  }
  const tells = (config.log ?? "off") !== "off";
  const exit = (exitStatus: number): never => {
    try {
      if (tells) writeLine(STDERR, `tandem: ended with ${exitStatus}`);
      writeSync(status, encodeExit(exitStatus, code?.ran()));
    } finally {
      // Also when nobody is there any more who would be told.
      native.exitNow(exitStatus);
    }
  };
  waitForStart(go, exit);
  keepDeepStacks();
  if (tells) writeText(STDERR, grantLine(config.grant));
  findNativeCode()?.endWhenHeapIsFull(status);
  usage.onReached((reached) => endWith(reached, exit));
  setEngineForLongRuns();
  useGuestStack(stack);
  runToEnd(run, { exit, watchTime: () => watchTime(config.grant.limits ?? {}, status) });
}

function takeStdio(fds: readonly number[], listeners: readonly number[]): void {
  for (const [index, target] of [STDIN, STDOUT, STDERR].entries()) {
    const fd = fds[index] ?? -1;
    native.replaceFd(fd, target);
    closeSync(fd);
  }
  // A pid namespace's descriptor was for the fork.
  for (const fd of fds.slice(STATUS + 1 + listeners.length)) closeSync(fd);
}

/** The end of the pipe instead of a byte: the shim died before Start. */
function waitForStart(go: number, exit: (code: number) => never): void {
  if (readSync(go, Buffer.alloc(1), 0, 1, null) === 0) exit(exitStatuses.killed);
  closeSync(go);
}

/** After Start nobody waits for an answer any more: the container's log says why. */
function endWith(failure: TandemError, exit: (code: number) => never): never {
  reportLine(STDERR, failure.message);
  return exit(statusFromFailure(failure));
}

interface End {
  readonly exit: (code: number) => never;
  readonly watchTime: () => void;
}

function runToEnd(run: Run, { exit, watchTime: watch }: End): void {
  const fail = (error: unknown): never => endWith(TandemError.from(error), exit);
  try {
    watch();
    const result = run();
    if (typeof result === "number") exit(result);
    else result.then(exit, fail);
  } catch (error) {
    fail(error);
  }
}
