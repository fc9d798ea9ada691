/** Every system call of this machine, asked of the kernel under each filter of a wasm process: as its table says, and not otherwise. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { LinuxSeccompArg } from "../../src/isolation/seccomp/profile.ts";
import { wasmCalls, wasmFilter } from "../../src/isolation/wasm-seccomp.ts";
import { type SocketUse, socketUses } from "../../src/isolation/wasm-sockets.ts";
import { native } from "../../src/native.ts";

const calls = suite("system calls of a wasm process");
const directory = mkdtempSync(join(tmpdir(), "tandem-wasm-calls-"));
const decide = join(directory, "seccomp-decide");

calls.before(() => {
  const source = fileURLToPath(new URL("./fixtures/seccomp-decide.c", import.meta.url));
  execFileSync("cc", ["-O1", "-o", decide, source]);
});
calls.after(() => rmSync(directory, { recursive: true }));

interface Case {
  readonly number: number;
  readonly args: readonly bigint[];
}

/** What the kernel does with each: "allow", an errno's name, "SIGSYS". */
function decisionsOf(use: SocketUse, cases: readonly Case[]): string[] {
  const filter = join(directory, use);
  writeFileSync(filter, wasmFilter(use));
  const input = cases.map(({ number, args }) => [number, ...args].join(" ")).join("\n");
  return execFileSync(decide, [filter], { input, encoding: "utf8" }).trimEnd().split("\n");
}

function numberOf(name: string): number | undefined {
  return native.largestSyscall([name], native.nativeSeccompArchitecture());
}

function numbersOf(names: readonly string[]): number[] {
  return names.flatMap((name) => numberOf(name) ?? []);
}

/** The table by number, as a reader of it understands it. */
class Table {
  readonly #conditions = new Map<number, (readonly LinuxSeccompArg[])[]>();
  readonly #absent: ReadonlySet<number>;
  readonly #lethal: ReadonlySet<number>;
  readonly newest: number;

  constructor(use: SocketUse) {
    const { allowed, absent, lethal } = wasmCalls(use);
    for (const { names, args = [] } of allowed)
      for (const number of numbersOf(names))
        this.#conditions.set(number, [...(this.#conditions.get(number) ?? []), args]);
    this.#absent = new Set(numbersOf(absent));
    this.#lethal = new Set(numbersOf(lethal));
    this.newest = Math.max(...this.#conditions.keys(), ...this.#absent, ...this.#lethal);
  }

  expected({ number, args }: Case): string {
    if (number > this.newest || this.#absent.has(number)) return "ENOSYS";
    if (this.#lethal.has(number)) return "SIGSYS";
    const alternatives = this.#conditions.get(number) ?? [];
    return alternatives.some((all) => all.every((one) => holds(one, args))) ? "allow" : "EPERM";
  }

  /** A call without arguments, one with all of them as large as can be, and those that a condition just lets through or just not. */
  casesOf(number: number): Case[] {
    const none = new Array<bigint>(6).fill(0n);
    const tries = [none, none.map(() => UNSIGNED)];
    for (const all of this.#conditions.get(number) ?? []) {
      const fitting = none.with(0, 0n);
      for (const { index, op, value, valueTwo } of all)
        fitting[index] = BigInt((op === "SCMP_CMP_EQ" ? value : valueTwo) ?? 0);
      tries.push(fitting);
      for (const { index, op, value } of all) {
        const own = fitting[index] ?? 0n;
        tries.push(fitting.with(index, own ^ (1n << 40n)), fitting.with(index, own + 1n));
        if (op === "SCMP_CMP_EQ") continue;
        for (let bit = 1n; bit <= BigInt(value); bit <<= 1n) tries.push(fitting.with(index, own ^ bit));
      }
    }
    return tries.map((args) => ({ number, args }));
  }
}

const UNSIGNED = (1n << 64n) - 1n;

function holds({ index, op, value, valueTwo }: LinuxSeccompArg, args: readonly bigint[]): boolean {
  const given = args[index] ?? 0n;
  if (op === "SCMP_CMP_EQ") return given === BigInt(value);
  if (op === "SCMP_CMP_MASKED_EQ") return (given & BigInt(value)) === BigInt(valueTwo ?? 0);
  throw new Error(`operator ${op}: is not one of the table's`);
}

/**
 * uretprobe and uprobe of x86-64 (Linux 6.11 and 6.18) are what the kernel itself puts into a program that is looked at. They
 * pass every filter, and kill or refuse who calls them from elsewhere (arch/x86/kernel/uprobes.c).
 */
function isProbe({ number }: Case, decision: string | undefined): boolean {
  return process.arch === "x64" && ["335 SIGILL", "336 ENXIO"].includes(`${number} ${decision}`);
}

for (const use of socketUses) {
  calls(`are decided as the table says: sockets ${use}`, () => {
    const table = new Table(use);
    const cases = Array.from({ length: table.newest + 100 }, (_, number) => table.casesOf(number)).flat();
    const decisions = decisionsOf(use, cases);
    assert.is(decisions.length, cases.length);
    for (const [index, one] of cases.entries()) {
      if (isProbe(one, decisions[index])) continue;
      assert.is(decisions[index], table.expected(one), `call ${one.number} (${one.args.join(", ")})`);
    }
  });
}

calls("are never those of x32, which are the same ones by other numbers", () => {
  const numbers = Array.from({ length: 600 }, (_, number) => 0x40000000 + number);
  const cases = numbers.map((number) => ({ number, args: new Array<bigint>(6).fill(0n) }));
  assert.equal(new Set(decisionsOf("network", cases)), new Set(["SIGSYS"]));
});

calls("are in one list each", () => {
  const { allowed, absent, lethal } = wasmCalls("network");
  const lists = [[...new Set(allowed.flatMap(({ names }) => names))], absent, lethal];
  const names = lists.flat();
  assert.is(new Set(names).size, names.length);
});

calls.run();
