import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureTranspiled } from "../../../src/image/transpile.ts";
import { type GluedFiles, type LinkedFiles, readTranspiled } from "../../../wasm-host/transpiled.ts";
import type { ComponentGrant } from "../../../wasm-host/wasi/p2/imports.ts";

/** A directory for one test file, removed when the process ends. */
export function createScratch(): string {
  const scratch = mkdtempSync(join(tmpdir(), "tandem-test-"));
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
  return scratch;
}

export type GuestKind = "invoke" | "command" | "limits" | "http" | "foreign" | "command03" | "service03";

export function buildGuest(kind: GuestKind, scratch: string): string {
  const path = join(scratch, `${kind}.wasm`);
  execFileSync(process.execPath, [fileURLToPath(new URL("build.ts", import.meta.url)), kind, path], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return path;
}

export function digestOf(path: string): string {
  return `sha256:${createHash("sha256").update(readFileSync(path)).digest("hex")}`;
}

/** With jco's glue, also where a plan would do. */
export async function transpileGuest(path: string, scratch: string): Promise<GluedFiles> {
  const files = readTranspiled(await transpiled(path, scratch, true));
  if ("plan" in files) throw new Error(`${path}: has no glue`);
  return files;
}

/** With a link plan. */
export async function linkGuest(path: string, scratch: string): Promise<LinkedFiles> {
  const files = readTranspiled(await transpiled(path, scratch, false));
  if (!("plan" in files)) throw new Error(`${path}: has no plan: ${files.manifest.unlinkable}`);
  return files;
}

async function transpiled(path: string, scratch: string, glue: boolean): Promise<string> {
  const stateDir = join(scratch, "state");
  const { dir } = await ensureTranspiled({ path, digest: digestOf(path), stateDir, glue });
  return dir;
}

/** stdio in files: what a guest writes can be read after it. */
export class Stdio {
  readonly #scratch: string;
  readonly stdin: number | undefined;
  readonly stdout: number;
  readonly stderr: number;

  constructor(scratch: string, stdin?: number) {
    this.#scratch = mkdtempSync(join(scratch, "stdio-"));
    this.stdin = stdin;
    this.stdout = openSync(join(this.#scratch, "out"), "w");
    this.stderr = openSync(join(this.#scratch, "err"), "w");
  }

  get out(): string {
    return readFileSync(join(this.#scratch, "out"), "utf8");
  }

  get err(): string {
    return readFileSync(join(this.#scratch, "err"), "utf8");
  }

  close(): void {
    closeSync(this.stdout);
    closeSync(this.stderr);
  }
}

/** Nothing but arguments and stdio. */
export function grantOf(args: readonly string[], stdio: Stdio): ComponentGrant {
  const { stdin, stdout, stderr } = stdio;
  return { args, env: [], stdio: { stdin, stdout, stderr }, preopens: [] };
}
