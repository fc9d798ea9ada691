import { type HttpSettingName, httpSettings } from "../grant/http-settings.ts";
import type { Flag, Flags } from "../oci/flags.ts";

/** What is granted; wasmtime's names where it has one. */
const grantFlags = {
  dir: {
    value: "HOST[::GUEST[::ro]]",
    many: true,
    help: "a directory, by its own name or another; ro: nothing in it can be changed",
  },
  env: { value: "NAME[=VALUE]", many: true, help: "an environment variable; without a value the caller's" },
  wasi: { short: "S", attached: true, value: "OPTION[=VALUE],…", many: true, help: "options of WASI" },
  wasm: {
    short: "W",
    attached: true,
    value: "OPTION[=VALUE],…",
    many: true,
    help: "options of WebAssembly",
  },
  allow: {
    value: "[PROTOCOLS:]HOST[:PORT]",
    many: true,
    help: "reach this name, *.suffix, address or block, by sockets, name look-up and HTTP",
  },
  bind: { value: "ADDRESS:PORT", many: true, help: "let it bind there; port 0 is any, * every address" },
  "cpu-time": { value: "DURATION", help: "processor time, the compiler's included" },
  "max-output": { value: "BYTES", help: "bytes that it may write to stdout and stderr together" },
  "max-open-files": { value: "COUNT", help: "files, directories and sockets that it may have open at once" },
  clock: {
    value: "START[,STEP]",
    help: "the same clocks in every run: seconds since 1970, and nanoseconds that each reading takes (1000)",
  },
  seed: { value: "TEXT", help: "the same random numbers in every run" },
  explain: { help: "print what it would be granted, and do not run it" },
  json: { help: "with --explain: for machines" },
  help: { short: "h", help: "print this" },
} as const satisfies Flags;

/** Options of `tandem run`. */
export const runFlags = {
  invoke: { value: "NAME", help: "call this export; the arguments are its own" },
  argv0: { value: "NAME", help: "the program's name, unless given that of the file" },
  listen: {
    value: "ADDRESS:PORT",
    many: true,
    help: "listen there and hand it the socket, after its directories",
  },
  ...grantFlags,
} as const satisfies Flags;

/** Options of `tandem serve`. */
export const serveFlags = {
  addr: { value: "ADDRESS:PORT", help: "where to listen; 0.0.0.0:8080 unless given, port 0 is any" },
  ...httpFlags(),
  ...grantFlags,
} as const satisfies Flags;

function httpFlags(): Readonly<Record<HttpSettingName, Flag>> {
  const flags = Object.entries(httpSettings).map(([name, { value, help, initial }]) => [
    name,
    { value, help: `${help} (${initial})` },
  ]);
  return Object.fromEntries(flags) as Readonly<Record<HttpSettingName, Flag>>;
}
