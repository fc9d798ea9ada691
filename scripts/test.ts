/**
 * The test runner: node scripts/test.ts [unit|integration|all|programs] [part of a path…]
 *
 * Each test file runs in a Node process of its own, by its own uvu; this adds up what they report and ends with one line,
 * `N passed, N failed`. Integration tests need root, a containerd and a machine to themselves, so they run one at a time. `programs`, which is no part of `all`, takes
 * minutes to fetch and compile what it runs.
 */
import { spawn } from "node:child_process";
import { existsSync, globSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { patience } from "./private-containerd/patience.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

type Mode = "unit" | "integration" | "all" | "programs";

interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Kind {
  readonly files: readonly string[];
  /** After this a file counts as hung and is killed. */
  readonly limitMs: number;
  readonly atOnce: number;
}

const none: Totals = { passed: 0, failed: 0, skipped: 0 };

/** test/ of the tree and of each workspace package. test/programs needs dist/, whatever lies in test/integration a containerd too. */
function discover(mode: Mode, parts: readonly string[]): Kind[] {
  const all = globSync(["test/**/*.test.ts", "src/*/test/**/*.test.ts"], { cwd: root })
    .sort()
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)));
  const isProgram = (file: string): boolean => file.startsWith("test/programs/");
  const isIntegration = (file: string): boolean =>
    file.startsWith("test/integration/") || file.startsWith("test/examples/");
  const unit: Kind = {
    files: all.filter((file) => !isIntegration(file) && !isProgram(file)),
    limitMs: 120_000 * patience,
    atOnce: 2,
  };
  const integration: Kind = { files: all.filter(isIntegration), limitMs: 900_000 * patience, atOnce: 1 };
  const programs: Kind = { files: all.filter(isProgram), limitMs: 1_800_000 * patience, atOnce: 1 };
  const kinds = { unit: [unit], integration: [integration], all: [unit, integration], programs: [programs] };
  return kinds[mode];
}

/** Runs one file; its output appears when it is done, so that two files do not mix. */
function runFile(file: string, limitMs: number): Promise<Totals> {
  const { promise, resolve } = Promise.withResolvers<Totals>();
  // A group of its own, so that what the file has started ends with it.
  const child = spawn(process.execPath, ["--no-warnings", file], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const started = Date.now();
  const output: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  }, limitMs);
  // "exit", not "close": a process that a test left behind may hold the pipe for ever. What was written by then has arrived.
  child.on("exit", (status, signal) => {
    clearTimeout(timer);
    setTimeout(() => {
      child.stdout.destroy();
      child.stderr.destroy();
      const text = Buffer.concat(output).toString();
      print(
        `${text.trimEnd()}\n— ${file}: ${Date.now() - started} ms${hung ? `, killed after ${limitMs} ms` : signal === null ? "" : `, ended by ${signal}`}\n`,
      );
      resolve(totalsOf(text, status === 0));
    }, 50);
  });
  return promise;
}

/** What uvu prints at the end. A file that ends badly without a failed test (it crashed, it hung) is one failure itself. */
function totalsOf(text: string, succeeded: boolean): Totals {
  const plain = stripVTControlCharacters(text);
  const number = (name: string): number | undefined => {
    const match = new RegExp(`^ {2}${name}: +(\\d+)`, "m").exec(plain);
    return match?.[1] === undefined ? undefined : Number(match[1]);
  };
  const total = number("Total");
  const passed = number("Passed") ?? 0;
  if (total === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const failed = total - passed;
  return { passed, failed: failed === 0 && !succeeded ? 1 : failed, skipped: number("Skipped") ?? 0 };
}

function add(a: Totals, b: Totals): Totals {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

async function runKind(kind: Kind, failures: string[]): Promise<Totals> {
  const queue = [...kind.files];
  const lane = async (): Promise<Totals> => {
    let sum = none;
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const totals = await runFile(file, kind.limitMs);
      if (totals.failed > 0) failures.push(`${file}: ${totals.failed} failed`);
      sum = add(sum, totals);
    }
    return sum;
  };
  const lanes = await Promise.all(Array.from({ length: kind.atOnce }, lane));
  return lanes.reduce(add, none);
}

/** Names what this machine lacks; the integration tests would only fail for it. */
function whyNoIntegration(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  if (globSync(".cache/containerd/*/bin/containerd", { cwd: root }).length === 0)
    return "no containerd in .cache (scripts/setup test)";
  if (!existsSync(join(root, "dist/bin/containerd-shim-tandem-v1"))) return "no dist/ (npm run build)";
  return undefined;
}

function print(text: string): void {
  writeSync(1, text);
}

function toMode(text: string | undefined): Mode {
  if (text === "unit" || text === "integration" || text === "all" || text === "programs") return text;
  throw new Error(`${String(text)}: not a mode; unit, integration, all or programs`);
}

const mode = toMode(process.argv[2] ?? "all");
const failures: string[] = [];
let sum = none;
for (const kind of discover(mode, process.argv.slice(3))) {
  const reason = kind.atOnce === 1 ? whyNoIntegration() : undefined;
  if (reason !== undefined && kind.files.length > 0) {
    print(`integration tests left out (${kind.files.length} files): ${reason}\n`);
    sum = add(sum, { passed: 0, failed: 0, skipped: kind.files.length });
    continue;
  }
  sum = add(sum, await runKind(kind, failures));
}
for (const failure of failures) print(`✘ ${failure}\n`);
print(`${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ""}\n`);
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
