/** A guest in C for the tests of `tandem run`, and whoever runs it. */
import { type ChildProcess, spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Finished, run } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { compileC } from "../wasm-host/wasi/p1/compile-c.ts";

export const tandem = fileURLToPath(new URL("../../dist/bin/tandem", import.meta.url));

/** Says what it sees, or does as its first argument says. */
export function buildGuest(): string {
  return compileC(`
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
extern char **environ;
static int list(const char *path) {
  DIR *directory = opendir(path);
  if (directory == NULL) { perror(path); return 1; }
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) puts(entry->d_name);
  return 0;
}
static int copy(void) {
  static char buffer[65536];
  for (ssize_t length; (length = read(0, buffer, sizeof buffer)) > 0;)
    for (ssize_t done = 0, part; done < length; done += part)
      if ((part = write(1, buffer + done, length - done)) < 0) { perror("write"); return 3; }
  return 0;
}
static int make(const char *path) {
  FILE *file = fopen(path, "w");
  if (file == NULL) { perror(path); return 1; }
  fputs("made\\n", file);
  return fclose(file);
}
int main(int count, char **arguments) {
  const char *verb = count > 1 ? arguments[1] : "";
  if (strcmp(verb, "exit") == 0) return atoi(arguments[2]);
  if (strcmp(verb, "list") == 0) return list(arguments[2]);
  if (strcmp(verb, "copy") == 0) return copy();
  if (strcmp(verb, "make") == 0) return make(arguments[2]);
  if (strcmp(verb, "trap") == 0) __builtin_trap();
  if (strcmp(verb, "wait") == 0) { puts("waiting"); fflush(stdout); for (;;) sleep(1); }
  if (strcmp(verb, "spin") == 0) { puts("spinning"); fflush(stdout); for (volatile int i = 0;; i++) continue; }
  for (int i = 0; i < count; i++) printf("[%s]", arguments[i]);
  for (char **variable = environ; variable != NULL && *variable != NULL; variable++) printf("{%s}", *variable);
  puts("");
  return 0;
}
`);
}

/** Somebody with a `tandem` of their own. */
export interface Runner {
  readonly name: string;
  readonly uid: number;
  command(program: readonly string[]): readonly [string, ...string[]];
}

export function runTandem(
  runner: Runner,
  args: readonly string[],
  input?: string | Uint8Array,
): Promise<Finished> {
  const [program, ...rest] = runner.command([tandem, ...args]);
  return run(program, rest, { directory: "/", ...(input === undefined ? {} : { input }) });
}

/** A command whose guest has begun, as its output says. */
export class RunningGuest {
  readonly child: ChildProcess;
  readonly exited: Promise<number>;
  /** Of the guest's process, on this machine. */
  readonly guest: number;

  private constructor(child: ChildProcess, exited: Promise<number>, guest: number) {
    this.child = child;
    this.exited = exited;
    this.guest = guest;
  }

  static async begin(runner: Runner, args: readonly string[]): Promise<RunningGuest> {
    const [program, ...rest] = runner.command([tandem, "run", ...args]);
    const child = spawn(program, rest, { cwd: "/", stdio: ["ignore", "pipe", "inherit"] });
    const exited = new Promise<number>((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? (signal === "SIGKILL" ? 137 : 128)));
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    await waitFor(() => output !== "", 60_000, "the guest's first line");
    return new RunningGuest(child, exited, guestOf(child.pid ?? 0));
  }

  get isGone(): boolean {
    const stat = readOr(join("/proc", String(this.guest), "stat"), "");
    return stat === "" || stat.includes(") Z ");
  }
}

/** The client has the guest's pidfd open (proc_pid_fdinfo(5)); setpriv and env have become it by exec. */
export function guestOf(client: number): number {
  for (const file of globSync(`/proc/${client}/fdinfo/*`)) {
    const pid = /^Pid:\t(\d+)$/m.exec(readOr(file, ""))?.[1];
    if (pid !== undefined) return Number(pid);
  }
  throw new Error(`client ${client} has no pidfd`);
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return otherwise;
  }
}
