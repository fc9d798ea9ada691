import type { Limits, MadeUpClocks, NetworkProtocol, SeededRandom } from "../../wasm-host/grant.ts";
import { defaultHttpLimits, type HttpLimits } from "../../wasm-host/http/serve.ts";
import { limitNames } from "../../wasm-host/limits/limit-names.ts";
import { TandemError } from "../errors.ts";
import { readClock, readCount, readDuration, readSeed } from "./read-value.ts";
import { inboundCovers, outboundCovers } from "./rule-covers.ts";

/**
 * One thing that can be said about a pod's grant: by its operator in the TOML of the runtime's options, and by the pod in an
 * annotation. The table is what docs/grant.md shows.
 */
export interface Setting<T> {
  /** What a grant has when nobody says anything, in words. */
  readonly initial: string;
  /** The option of `tandem run` or `tandem serve` for the same. */
  readonly option: string;
  /** @param what names the place, for errors. @throws TandemError invalid_argument */
  read(what: string, text: string): T;
  /** Whether a pod needs the operator's word to have more than the usual; if not, there is nothing to be allowed. */
  readonly guarded: boolean;
  /** Whether a pod may have it, given what the operator allows and has as default. */
  permits(wanted: T, allowed: readonly T[]): boolean;
}

const list = (
  option: string,
  initial: string,
  covers: (allowed: string, wanted: string) => boolean,
): Setting<readonly string[]> => ({
  initial,
  option,
  read: (what, text) => {
    if (text === "none") return [];
    const entries = text.split(",").map((entry) => entry.trim());
    const parts = entries.filter((entry) => entry !== "");
    // What is wrong in itself is said where it stands.
    for (const part of parts) wrap(what, () => covers(part, part));
    return parts;
  },
  guarded: true,
  permits: (wanted, allowed) => wanted.every((entry) => allowed.flat().some((one) => covers(one, entry))),
});

function wrap<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw TandemError.from(error, what);
  }
}

/** Less is narrower. Without a word of the operator's, `usual` is the most; or anything, where there is no limit. */
const limit = (
  option: string,
  read: (what: string, text: string) => number,
  usual?: number,
): Setting<number> => ({
  initial: usual === undefined ? "none" : String(usual),
  option,
  read,
  guarded: true,
  permits: (wanted, allowed) => {
    const most = allowed.length === 0 ? usual : Math.max(...allowed);
    return most === undefined || wanted <= most;
  },
});

/** Takes nothing from anybody: a pod may say what it likes. */
const free = <T>(option: string, initial: string, read: (what: string, text: string) => T): Setting<T> => ({
  ...{ option, initial, read, guarded: false, permits: () => true },
});

const protocolNames: readonly NetworkProtocol[] = ["tcp", "udp", "dns", "http"];

function sameProtocol(allowed: string, wanted: string): boolean {
  if (!protocolNames.some((name) => name === wanted))
    throw new TandemError("invalid_argument", `${wanted} is none of ${protocolNames.join(", ")}`);
  return allowed === wanted;
}

const rootAccess = ["none", "ro", "rw"] as const;

export type RootAccess = (typeof rootAccess)[number];

const { maxInstanceReuse, maxConcurrency, maxWaiting, maxBodyBytes, requestTimeoutMs, drainMs } =
  defaultHttpLimits;

/** Every setting, by the name that the TOML's keys and, behind `tandem.dev/`, annotations have. */
export const settings = {
  outbound: list("--allow, -S http, -S inherit-network", "nobody", outboundCovers),
  inbound: list("--bind, -S inherit-network", "nothing", inboundCovers),
  protocols: {
    ...list("-S tcp, udp, http, allow-ip-name-lookup", "tcp, udp, dns, http", sameProtocol),
    permits: (wanted, allowed) =>
      allowed.length === 0 || wanted.every((one) => allowed.flat().some((other) => sameProtocol(other, one))),
  } satisfies Setting<readonly string[]>,
  env: free("--env, -S inherit-env", "every variable of process.env", (_, text) =>
    text.split(",").map((one) => one.trim()),
  ),
  rootfs: {
    initial: "rw, where config.json has no root.readonly",
    option: "--dir",
    read: (what: string, text: string): RootAccess => {
      const found = rootAccess.find((name) => name === text);
      if (found !== undefined) return found;
      throw new TandemError("invalid_argument", `${what}: is none of ${rootAccess.join(", ")}`);
    },
    guarded: true,
    permits: (wanted: RootAccess, allowed: readonly RootAccess[]) =>
      allowed.length === 0 || allowed.some((most) => rootAccess.indexOf(wanted) <= rootAccess.indexOf(most)),
  } satisfies Setting<RootAccess>,
  clock: free<MadeUpClocks>("--clock", "the machine's", readClock),
  seed: free<SeededRandom>("--seed", "the kernel's generator", (_, text) => readSeed(text)),
  "max-memory-size": limit("-W max-memory-size", readCount),
  "max-table-elements": limit("-W max-table-elements", readCount),
  "max-instances": limit("-W max-instances", readCount),
  "cpu-time": limit("--cpu-time", readDuration),
  timeout: limit("-W timeout", readDuration),
  "max-open-files": limit("--max-open-files", readCount),
  "max-output": limit("--max-output", readCount),
  "http-port": free<number>("--addr", "8080", readPort),
  "max-instance-reuse-count": limit("--max-instance-reuse-count", readCount, maxInstanceReuse),
  "max-concurrent-requests": limit("--max-concurrent-requests", readCount, maxConcurrency),
  "max-waiting-requests": limit("--max-waiting-requests", readCount, maxWaiting),
  "max-body": limit("--max-body", readCount, maxBodyBytes),
  "request-timeout": limit("--request-timeout", readDuration, requestTimeoutMs),
  "drain-timeout": limit("--drain-timeout", readDuration, drainMs),
} as const;

function readPort(what: string, text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port > 0 && port < 65_536) return port;
  throw new TandemError("invalid_argument", `${what}: ${text} is no port`);
}

export type SettingName = keyof typeof settings;

type ValueOf<S> = S extends { read(what: string, text: string): infer T } ? T : never;

/** What was said, by name. */
export type SettingValues = { readonly [K in SettingName]?: ValueOf<(typeof settings)[K]> };

/** Names of `limits` of a grant. */
export const limitSettings = limitNames satisfies Readonly<Record<keyof Limits, SettingName>>;

/** The same of HTTP's. */
export const httpSettings = {
  maxInstanceReuse: "max-instance-reuse-count",
  maxConcurrency: "max-concurrent-requests",
  maxWaiting: "max-waiting-requests",
  maxBodyBytes: "max-body",
  requestTimeoutMs: "request-timeout",
  drainMs: "drain-timeout",
} as const satisfies Readonly<Record<keyof HttpLimits, SettingName>>;
