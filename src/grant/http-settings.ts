import { defaultHttpLimits, type HttpLimits } from "../../wasm-host/http/limits.ts";
import { TandemError } from "../errors.ts";
import { readCount, readDuration, readSwitch } from "./read-value.ts";
import { free, limit, type Setting } from "./setting.ts";

/** Something about how an http component is served, which is also an option of `tandem serve` by the same name. */
export interface HttpSetting<K extends keyof HttpLimits> extends Setting<HttpLimits[K]> {
  readonly limit: K;
  /** What the option's argument is called in its help, and what it says. */
  readonly value: string;
  readonly help: string;
}

type Of<T> = { [K in keyof HttpLimits]: HttpLimits[K] extends T ? K : never }[keyof HttpLimits];

interface Numeric {
  readonly least?: number;
  /** Whether a pod that has more of it has more of the node. */
  readonly guarded?: boolean;
}

const numeric =
  (value: string, read: (what: string, text: string) => number) =>
  <K extends Of<number>>(
    name: string,
    key: K,
    help: string,
    { least = 0, guarded = true }: Numeric = {},
  ): HttpSetting<K> => {
    const usual = defaultHttpLimits[key];
    const readAtLeast = (what: string, text: string): number => {
      const number = read(what, text);
      if (number < least) throw new TandemError("invalid_argument", `${what}: is at least ${least}`);
      return number;
    };
    const setting = guarded
      ? limit(`--${name}`, readAtLeast, usual)
      : free(`--${name}`, String(usual), readAtLeast);
    // Whatever key has numbers has all numbers.
    return { ...setting, limit: key, value, help } as HttpSetting<K>;
  };

const count = numeric("COUNT", readCount);
const bytes = numeric("BYTES", readCount);
const duration = numeric("DURATION", readDuration);

function flip<K extends Of<boolean>>(name: string, key: K, help: string): HttpSetting<K> {
  const setting = free(`--${name}`, defaultHttpLimits[key] ? "y" : "n", readSwitch);
  return { ...setting, limit: key, value: "y|n", help } as HttpSetting<K>;
}

function choice<K extends "accessLog" | "accessLogTo">(
  name: string,
  key: K,
  help: string,
  choices: readonly HttpLimits[K][],
): HttpSetting<K> {
  const read = (what: string, text: string): HttpLimits[K] => {
    const found = choices.find((one) => one === text);
    if (found !== undefined) return found;
    throw new TandemError("invalid_argument", `${what}: is none of ${choices.join(", ")}`);
  };
  return {
    ...free(`--${name}`, defaultHttpLimits[key], read),
    ...{ limit: key, value: choices.join("|"), help },
  };
}

const requestTimeout = duration(
  "request-timeout",
  "requestTimeoutMs",
  "to the beginning of an answer; 0: as long as it takes",
);

/** No time is more than any. */
const orForever = (ms: number): number => (ms === 0 ? Number.POSITIVE_INFINITY : ms);

/** By name: wasmtime's where `wasmtime serve` has it. */
export const httpSettings = {
  "max-instance-reuse-count": count(
    "max-instance-reuse-count",
    "maxInstanceReuseCount",
    "requests that one instance serves, one after the other",
    { least: 1, guarded: false },
  ),
  "max-instance-concurrent-reuse-count": count(
    "max-instance-concurrent-reuse-count",
    "maxInstanceConcurrentReuseCount",
    "requests that one instance of WASI 0.3 serves at once",
    { least: 1, guarded: false },
  ),
  "idle-instance-timeout": duration(
    "idle-instance-timeout",
    "idleInstanceTimeoutMs",
    "how long an instance is kept that has nothing to do",
    { guarded: false },
  ),
  "instance-reset": flip(
    "instance-reset",
    "instanceReset",
    "whether instances are put back to their first state instead of being made anew",
  ),
  "max-concurrent-requests": count("max-concurrent-requests", "maxConcurrentRequests", "requests at once", {
    least: 1,
  }),
  "max-waiting-requests": count(
    "max-waiting-requests",
    "maxWaitingRequests",
    "requests that may wait for their turn",
  ),
  "max-concurrent-connections": count(
    "max-concurrent-connections",
    "maxConcurrentConnections",
    "connections at once",
    { least: 1 },
  ),
  "max-body": bytes("max-body", "maxBodyBytes", "bytes of a request's body"),
  "max-header-size": bytes(
    "max-header-size",
    "maxHeaderBytes",
    "bytes of a request line and its header fields",
    { least: 1024 },
  ),
  "max-headers": count("max-headers", "maxHeaders", "header fields of a request", { least: 1 }),
  "request-timeout": {
    ...requestTimeout,
    permits: (wanted: number, allowed: readonly number[]) =>
      requestTimeout.permits(orForever(wanted), allowed.map(orForever)),
    // The usual one is less than none at all.
    ceiling: (most: number) => (most === 0 ? undefined : requestTimeout.ceiling?.(most)),
  },
  "compute-timeout": duration(
    "compute-timeout",
    "computeTimeoutMs",
    "that a guest may compute without waiting for anything",
    { least: 1 },
  ),
  "header-timeout": duration(
    "header-timeout",
    "headerTimeoutMs",
    "for a client to send the head of a request",
    {
      least: 1,
    },
  ),
  "io-timeout": duration(
    "io-timeout",
    "ioTimeoutMs",
    "for a client to send or take the next bytes of a body",
    {
      least: 1,
    },
  ),
  "keep-alive-timeout": duration(
    "keep-alive-timeout",
    "keepAliveTimeoutMs",
    "how long a connection is kept on which nothing is asked",
    { least: 1 },
  ),
  "drain-timeout": duration("drain-timeout", "drainTimeoutMs", "for requests in flight once it is to end"),
  http2: flip("http2", "http2", "whether HTTP/2 is spoken"),
  "access-log": choice("access-log", "accessLog", "a line for each request", ["off", "text", "json"]),
  "access-log-to": choice("access-log-to", "accessLogTo", "where these lines go", ["stdout", "stderr"]),
} as const;

export type HttpSettingName = keyof typeof httpSettings;

/** What was said of http's settings, by the names of the limits. `value` gives what was said of a setting, if anything was. */
export function collectHttpLimits(value: (name: HttpSettingName) => unknown): Partial<HttpLimits> {
  const entries = Object.entries(httpSettings).flatMap(([name, { limit: key }]) => {
    const said = value(name as HttpSettingName);
    return said === undefined ? [] : [[key, said] as const];
  });
  return Object.fromEntries(entries) as Partial<HttpLimits>;
}
