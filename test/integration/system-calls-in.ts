/**
 * Native code in a process that its guest has taken over, played by system calls that a tracer makes in its place
 * (test/security/fixtures/syscall-in.c).
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { native } from "../../src/native.ts";

/**
 * A system call by name or number, and its arguments: numbers, or "@text" for a pointer to the text, "*32" for one to 32 zero bytes,
 * "%0a00ff" for one to these bytes, "$1" for what the first call returned. A name "int80:20" is a number of 32-bit programs.
 */
export type Call = readonly [name: string | number, ...parameters: (string | number)[]];

export function numberOf(name: string): number {
  const number = native.largestSyscall([name], native.nativeSeccompArchitecture());
  if (number === undefined) throw new Error(`${name}: no system call of this architecture`);
  return number;
}

/** Makes system calls in other processes. */
export class Tracer {
  readonly #directory = mkdtempSync(join(tmpdir(), "tandem-tracer-"));
  readonly #program = join(this.#directory, "syscall-in");

  /** The tracer knows the registers of one architecture. */
  static readonly isPossible = process.arch === "x64";

  constructor() {
    const source = fileURLToPath(new URL("../security/fixtures/syscall-in.c", import.meta.url));
    execFileSync("cc", ["-O1", "-o", this.#program, source]);
  }

  /** Makes the calls in the process, one after the other. A result is a number, the name of an errno, or a signal's. */
  callsIn(pid: number, ...calls: readonly Call[]): string[] {
    const words = calls
      .flatMap(([name, ...parameters]) => [
        "--",
        typeof name === "number" || name.startsWith("int80:") ? String(name) : String(numberOf(name)),
        ...parameters.map(String),
      ])
      .slice(1);
    return execFileSync(this.#program, [String(pid), ...words], { encoding: "utf8", timeout: 10_000 })
      .trim()
      .split("\n");
  }

  /** The same with a call that is the process's last: it may be killed before the tracer has put its registers back. */
  lastCallIn(pid: number, last: Call): void {
    try {
      this.callsIn(pid, last);
    } catch (error) {
      assert.match(String(error), /No such process/);
    }
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }
}

/** Descriptor ↦ what it leads to. */
export function descriptorsOf(pid: number): Map<number, string> {
  const names = readdirSync(`/proc/${pid}/fd`).map(Number);
  return new Map(names.map((fd) => [fd, readlinkSync(`/proc/${pid}/fd/${fd}`)]));
}

/** Whether the bytes are anywhere in what a process can write to of its memory. */
export function holds(pid: number, needle: string): boolean {
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "latin1").split("\n")) {
      const [, from = "0", to = "0", rights = ""] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line) ?? [];
      const length = Number(BigInt(`0x${to}`) - BigInt(`0x${from}`));
      if (!rights.startsWith("rw") || length > 1 << 28) continue;
      const bytes = Buffer.alloc(length);
      try {
        readSync(memory, bytes, 0, length, BigInt(`0x${from}`) as unknown as number);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EIO") throw error;
      }
      if (bytes.includes(needle)) return true;
    }
    return false;
  } finally {
    closeSync(memory);
  }
}
