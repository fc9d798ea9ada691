import { fstatSync } from "node:fs";
import { isatty } from "node:tty";
import {
  createDescriptorInput,
  createDescriptorOutput,
  discardingOutput,
  emptyInput,
} from "./descriptor-streams.ts";
import type { Result } from "./result.ts";
import { InputStream, OutputStream } from "./streams.ts";
import type { Waiter } from "./waiting.ts";

/** Thrown through the guest by wasi:cli/exit: unwinds it, and carries the status out. */
export class ComponentExit extends Error {
  override readonly name = "ComponentExit";
  readonly status: number;

  constructor(status: number) {
    super(`exit status ${status}`);
    this.status = status;
  }
}

export interface CliGrant {
  readonly args: readonly string[];
  readonly env: readonly (readonly [string, string])[];
  /** Descriptors; one that is undefined reads as empty, or swallows what is written. */
  readonly stdio: {
    readonly stdin: number | undefined;
    readonly stdout: number | undefined;
    readonly stderr: number | undefined;
  };
}

/** The resource `terminal-input`; it has no methods. */
export class TerminalInput {}
/** The resource `terminal-output`; it has no methods. */
export class TerminalOutput {}

/** wasi:cli 0.2 for one instance: environment, exit, stdio and terminals, all of them from the grant. */
export function createCli(grant: CliGrant, waiter: Waiter): Record<string, unknown> {
  const { stdin, stdout, stderr } = grant.stdio;
  return {
    "wasi:cli/environment": {
      getArguments: () => [...grant.args],
      getEnvironment: () => grant.env.map(([name, value]) => [name, value]),
      initialCwd: () => undefined,
    },
    "wasi:cli/exit": { exit, exitWithCode },
    "wasi:cli/stdin": {
      getStdin: () =>
        new InputStream(stdin === undefined ? emptyInput : createDescriptorInput(stdin), waiter),
    },
    "wasi:cli/stdout": { getStdout: () => openOutput(stdout, waiter) },
    "wasi:cli/stderr": { getStderr: () => openOutput(stderr, waiter) },
    ...createTerminals(grant.stdio, ""),
  };
}

/** The terminals among a guest's stdio, by interface; of 0.2 the names have no version. */
export function createTerminals(
  { stdin, stdout, stderr }: CliGrant["stdio"],
  version: "" | "@0.3",
): Record<string, unknown> {
  return {
    [`wasi:cli/terminal-input${version}`]: { TerminalInput },
    [`wasi:cli/terminal-output${version}`]: { TerminalOutput },
    [`wasi:cli/terminal-stdin${version}`]: {
      getTerminalStdin: () => (isTerminal(stdin) ? new TerminalInput() : undefined),
    },
    [`wasi:cli/terminal-stdout${version}`]: {
      getTerminalStdout: () => (isTerminal(stdout) ? new TerminalOutput() : undefined),
    },
    [`wasi:cli/terminal-stderr${version}`]: {
      getTerminalStderr: () => (isTerminal(stderr) ? new TerminalOutput() : undefined),
    },
  };
}

/** wasi:cli/exit */
export function exit(status: Result<unknown, unknown>): never {
  throw new ComponentExit(status.tag === "ok" ? 0 : 1);
}

export function exitWithCode(code: number): never {
  throw new ComponentExit(code);
}

function openOutput(fd: number | undefined, waiter: Waiter): OutputStream {
  return new OutputStream(fd === undefined ? discardingOutput : createDescriptorOutput(fd), waiter);
}

/** isatty alone would ask a terminal's ioctl of a regular file. */
function isTerminal(fd: number | undefined): boolean {
  return fd !== undefined && fstatSync(fd).isCharacterDevice() && isatty(fd);
}
