import type { Flags } from "../oci/flags.ts";

/** Options of `tandem run`; wasmtime's names where it has one. */
export const runFlags = {
  dir: {
    value: "HOST[::GUEST[::ro]]",
    many: true,
    help: "a directory, by its own name or another; ro: nothing in it can be changed",
  },
  env: { value: "NAME[=VALUE]", many: true, help: "an environment variable; without a value the caller's" },
  invoke: { value: "NAME", help: "call this export; the arguments are its own" },
  argv0: { value: "NAME", help: "the program's name, unless given that of the file" },
  wasi: { short: "S", attached: true, value: "OPTION[=VALUE],…", many: true, help: "options of WASI" },
  wasm: { short: "W", attached: true, value: "OPTION[=VALUE],…", many: true, help: "options of WebAssembly" },
  allow: {
    value: "HOST[:PORT]",
    many: true,
    help: "reach this name, *.suffix, address or block, by sockets, name look-up and HTTP",
  },
  bind: { value: "ADDRESS:PORT", many: true, help: "let it bind there; port 0 is any, * every address" },
  listen: {
    value: "ADDRESS:PORT",
    many: true,
    help: "listen there and hand it the socket, after its directories",
  },
  "cpu-time": { value: "DURATION", help: "processor time, the compiler's included" },
  "max-output": { value: "BYTES", help: "bytes that it may write to stdout and stderr together" },
  "max-open-files": { value: "COUNT", help: "files, directories and sockets that it may have open at once" },
  clock: {
    value: "START[,STEP]",
    help: "clocks that tell the same in every run: seconds since 1970, nanoseconds that each reading takes (1000)",
  },
  seed: { value: "TEXT", help: "random numbers that are the same in every run" },
  explain: { help: "print what it would be granted, and do not run it" },
  json: { help: "with --explain: for machines" },
  help: { short: "h", help: "print this" },
} as const satisfies Flags;
