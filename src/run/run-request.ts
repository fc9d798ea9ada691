import { basename } from "node:path";
import type {
  Limits,
  MadeUpClocks,
  NetworkGrant,
  NetworkProtocol,
  SeededRandom,
} from "../../wasm-host/grant.ts";
import type { HttpLimits } from "../../wasm-host/http/limits.ts";
import { NetworkRules } from "../../wasm-host/network/network-rules.ts";
import { networkProtocols } from "../../wasm-host/network/rule.ts";
import { TandemError } from "../errors.ts";
import { collectHttpLimits, httpSettings } from "../grant/http-settings.ts";
import { readClock, readCount, readDuration, readSeed } from "../grant/read-value.ts";
import { type Given, parseFlags } from "../oci/flags.ts";
import { type GroupGiven, readGroup, wasiOptions, wasmOptions } from "./group-options.ts";
import { parseEndpoint } from "./listen.ts";
import { runFlags, serveFlags } from "./run-flags.ts";

/** What a command line of `tandem run` or `tandem serve` asks for. Paths are as they were written: relative to the caller's directory. */
export interface RunRequest {
  readonly file: string;
  readonly entry: string | undefined;
  /** argv of the guest. */
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly directories: readonly RequestedDirectory[];
  readonly network: NetworkGrant | undefined;
  /** Addresses to listen at on the guest's behalf. */
  readonly listen: readonly string[];
  /** Whether the guest gets the sockets of socket activation. */
  readonly listenFds: boolean;
  /** Which of 0, 1 and 2 are the caller's; the others are at their end. */
  readonly inheritStdio: readonly [boolean, boolean, boolean];
  readonly clocks: MadeUpClocks | undefined;
  readonly random: SeededRandom | undefined;
  readonly limits: Limits | undefined;
  /** Bytes of the call stack; undefined: what the caller's RLIMIT_STACK leaves. */
  readonly stackBytes: number | undefined;
  readonly explain: "no" | "table" | "json";
  /** Of `tandem serve`. */
  readonly serve: ServeRequest | undefined;
}

export interface ServeRequest {
  /** ADDRESS:PORT */
  readonly address: string;
  readonly limits: Partial<HttpLimits>;
}

export interface RequestedDirectory {
  readonly host: string;
  readonly guest: string;
  readonly readonly: boolean;
}

export interface Caller {
  readonly env: ReadonlyMap<string, string>;
  /** Whether there is such a file, as the caller sees it. */
  exists(path: string): boolean;
}

/**
 * Reads the arguments after `tandem run`; "help" when that was asked for.
 *
 * @throws TandemError invalid_argument naming the option
 */
export function readRunRequest(args: readonly string[], caller: Caller): RunRequest | "help" {
  const { given, read } = parseFlags(runFlags, args, true);
  if (given.has("help")) return "help";
  const [program = "", ...rest] = [...given.operands, ...args.slice(read)];
  const [file, named] = splitExport(program, caller);
  const invoked = given.text("invoke");
  if (invoked !== undefined && named !== undefined)
    throw new TandemError("invalid_argument", `option --invoke ${invoked}: the file names ${named} already`);
  return {
    ...readCommon(given, file, caller),
    entry: invoked ?? named,
    args: [given.text("argv0") ?? basename(file), ...rest],
    serve: undefined,
  };
}

const DEFAULT_ADDRESS = "0.0.0.0:8080";

/** The same of `tandem serve`. */
export function readServeRequest(args: readonly string[], caller: Caller): RunRequest | "help" {
  const { given } = parseFlags(serveFlags, args, false);
  if (given.has("help")) return "help";
  const [file = "", extra] = given.operands;
  if (extra !== undefined)
    throw new TandemError(
      "invalid_argument",
      `unexpected ${extra}: a component that is served has no arguments`,
    );
  const address = given.text("addr") ?? DEFAULT_ADDRESS;
  parseEndpoint(address, "option --addr");
  return {
    ...readCommon(given, file, caller),
    entry: undefined,
    args: [basename(file)],
    serve: { address, limits: readHttpLimits(given) },
  };
}

/** What both have. */
function readCommon(
  given: Given,
  file: string,
  caller: Caller,
): Omit<RunRequest, "entry" | "args" | "serve"> {
  if (file === "")
    throw new TandemError("invalid_argument", "FILE: is missing, a module or component to run");
  const wasi = readGroup("-S", wasiOptions, given.all("wasi"));
  const wasm = readGroup("-W", wasmOptions, given.all("wasm"));
  const listen = [...given.all("listen"), ...wasi.texts("tcplisten")];
  for (const address of listen) parseEndpoint(address, "option --listen");
  const [clock, seed] = [given.text("clock"), given.text("seed")];
  return {
    file,
    env: readEnv(given, wasi, caller),
    directories: given.all("dir").map(readDirectory),
    network: readNetwork(given, wasi),
    listen,
    listenFds: wasi.switch("listenfd") ?? false,
    inheritStdio: [
      wasi.switch("inherit-stdin") ?? true,
      wasi.switch("inherit-stdout") ?? true,
      wasi.switch("inherit-stderr") ?? true,
    ],
    clocks: clock === undefined ? undefined : readClock(`option --clock ${clock}`, clock),
    random: seed === undefined ? undefined : readSeed(seed),
    limits: readLimits(given, wasm),
    stackBytes: wasm.number("max-wasm-stack"),
    explain: readExplain(given),
  };
}

/** `FILE#EXPORT`; a file whose own name has a # is taken as it is. */
function splitExport(program: string, caller: Caller): [file: string, entry: string | undefined] {
  // A name of an export may have a # of its own.
  const [start] = /^.+?\.wasm(?=#)/s.exec(program) ?? [];
  const at = start?.length ?? program.lastIndexOf("#");
  if (at <= 0 || caller.exists(program)) return [program, undefined];
  return [program.slice(0, at), program.slice(at + 1)];
}

function readEnv(given: Given, wasi: GroupGiven, caller: Caller): [string, string][] {
  const env = new Map<string, string>(wasi.switch("inherit-env") === true ? caller.env : []);
  for (const text of given.all("env")) {
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    if (name === "") throw new TandemError("invalid_argument", `option --env ${text}: has no name`);
    const value = equals < 0 ? caller.env.get(name) : text.slice(equals + 1);
    // What the caller does not have, it cannot hand on.
    if (value !== undefined) env.set(name, value);
  }
  return [...env];
}

function readDirectory(text: string): RequestedDirectory {
  const [host = "", guest = host, mode, ...more] = text.split("::");
  if (host === "" || guest === "" || more.length > 0)
    throw new TandemError("invalid_argument", `option --dir ${text}: is HOST[::GUEST[::ro]]`);
  if (mode !== undefined && mode !== "ro" && mode !== "rw")
    throw new TandemError("invalid_argument", `option --dir ${text}: ${mode} is neither ro nor rw`);
  return { host, guest, readonly: mode === "ro" };
}

/** Nothing but what is asked for: each option has rules of its own, and what is switched off is so for all. Undefined without any of it. */
function readNetwork(given: Given, wasi: GroupGiven): NetworkGrant | undefined {
  const allowed = given.all("allow");
  const inherit = wasi.switch("inherit-network") ?? false;
  const http = wasi.switch("http") ?? false;
  const lookup = wasi.switch("allow-ip-name-lookup") ?? false;
  const bind = given.all("bind");
  if (!inherit && !http && !lookup && allowed.length + bind.length === 0) return undefined;
  const switches: Readonly<Record<NetworkProtocol, boolean | undefined>> = {
    tcp: wasi.switch("tcp"),
    udp: wasi.switch("udp"),
    dns: wasi.switch("allow-ip-name-lookup"),
    http: wasi.switch("http"),
  };
  const by = networkProtocols.filter((protocol) => switches[protocol] !== false);
  const network: NetworkGrant = {
    outbound: [
      ...(inherit ? ["tcp+udp:*"] : []),
      ...(lookup ? ["dns:*"] : []),
      ...(http ? ["http:*"] : []),
      ...allowed,
    ],
    inbound: inherit ? ["*:0-65535", ...bind] : bind,
    ...(by.length === networkProtocols.length ? {} : { protocols: by }),
  };
  // What is wrong with a rule is said before anything is done or explained.
  new NetworkRules(network);
  return network;
}

function readLimits(given: Given, wasm: GroupGiven): Limits | undefined {
  const limits = present<Limits>({
    memoryBytes: wasm.number("max-memory-size"),
    tableElements: wasm.number("max-table-elements"),
    instances: wasm.number("max-instances"),
    cpuMs: duration(given, "cpu-time"),
    wallMs: wasm.number("timeout"),
    openFiles: count(given, "max-open-files"),
    outputBytes: count(given, "max-output"),
  });
  return Object.keys(limits).length === 0 ? undefined : limits;
}

function readHttpLimits(given: Given): Partial<HttpLimits> {
  return collectHttpLimits((name) => {
    const text = given.text(name);
    return text === undefined ? undefined : httpSettings[name].read(`option --${name} ${text}`, text);
  });
}

function count(given: Given, flag: string): number | undefined {
  const text = given.text(flag);
  return text === undefined ? undefined : readCount(`option --${flag} ${text}`, text);
}

function duration(given: Given, flag: string): number | undefined {
  const text = given.text(flag);
  return text === undefined ? undefined : readDuration(`option --${flag} ${text}`, text);
}

/** Without what is undefined. */
function present<T extends object>(values: { readonly [K in keyof T]-?: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

function readExplain(given: Given): RunRequest["explain"] {
  if (given.has("json") && !given.has("explain"))
    throw new TandemError("invalid_argument", "option --json: goes with --explain");
  if (!given.has("explain")) return "no";
  return given.has("json") ? "json" : "table";
}
