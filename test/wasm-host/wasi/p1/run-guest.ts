// Runs a module as a wasm process would, in a process of its own: node run-guest.ts '<Run as JSON>'.
import { openSync, readFileSync } from "node:fs";
import { native } from "../../../../src/native.ts";
import { findNativeCode } from "../../../../src/native-code.ts";
import { compileModule } from "../../../../wasm-host/module.ts";
import { runModule } from "../../../../wasm-host/run-module.ts";
import { O_PATH } from "./guest.ts";

export interface Run {
  readonly wasm: string;
  readonly args?: readonly string[];
  readonly env?: readonly (readonly [string, string])[];
  readonly root?: string;
  readonly export?: string;
  /** Inherited listening sockets. */
  readonly listeners?: readonly number[];
}

const program = { url: new URL("../../../../wasm-host/threads/thread.ts", import.meta.url).href };
const run = JSON.parse(process.argv[2] ?? "") as Run;
findNativeCode()?.endWhenHeapIsFull(-1);
const bytes = readFileSync(run.wasm);
const status = runModule(
  { module: compileModule(bytes), bytes },
  {
    args: ["guest", ...(run.args ?? [])],
    env: run.env ?? [],
    preopens:
      run.root === undefined ? [] : [{ fd: openSync(run.root, O_PATH), guestPath: "/", readonly: false }],
    stdio: { stdin: 0, stdout: 1, stderr: 2 },
    listeners: run.listeners ?? [],
  },
  { export: run.export, threads: { program, statusPipe: undefined } },
);
// Its threads do not end by themselves.
native.exitNow(status);
