/**
 * Imported before anything else of the transpile worker: other threads would hold locks of V8's or Node's at the moment of its fork
 * (walled-child.ts), and the child would wait for them for ever.
 *
 * - preview2-shim starts a worker for its I/O when it is loaded. The transpiler waits for no I/O, and in a forked child
 *   that worker would not exist.
 * - V8 compiles WebAssembly asynchronously on a thread that exists even with `--v8-pool-size=0`.
 */
import { syncBuiltinESMExports } from "node:module";
import workerThreads from "node:worker_threads";

class NoWorker {
  on(): this {
    return this;
  }
  once(): this {
    return this;
  }
  unref(): void {}
  postMessage(): never {
    throw new Error("the transpiler has no worker to wait for");
  }
}

Object.assign(workerThreads, { Worker: NoWorker });
syncBuiltinESMExports();

Object.assign(WebAssembly, {
  compile: async (bytes: Uint8Array<ArrayBuffer>): Promise<WebAssembly.Module> =>
    new WebAssembly.Module(bytes),
});
