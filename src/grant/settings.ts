import type { Limits, MadeUpClocks, SeededRandom } from "../../wasm-host/grant.ts";
import { limitNames } from "../../wasm-host/limits/limit-names.ts";
import { networkProtocols } from "../../wasm-host/network/rule.ts";
import { shown, TandemError } from "../errors.ts";
import { httpSettings } from "./http-settings.ts";
import { readClock, readCount, readDuration, readSeed } from "./read-value.ts";
import { inboundCovers, outboundCovers } from "./rule-covers.ts";
import { free, limit, type Setting } from "./setting.ts";

const list = (
  option: string,
  initial: string,
  covers: (allowed: string, wanted: string) => boolean,
): Setting<readonly string[]> => ({
  initial,
  option,
  // What is wrong in itself is said where it stands.
  read: (what, text) => readList(text, (part) => wrap(what, () => covers(part, part))),
  guarded: true,
  permits: (wanted, allowed) => wanted.every((entry) => allowed.flat().some((one) => covers(one, entry))),
});

/** @param check throws for what is no entry */
function readList(text: string, check: (entry: string) => void): readonly string[] {
  if (text === "none") return [];
  const entries = text.split(",").map((entry) => entry.trim());
  const parts = entries.filter((entry) => entry !== "");
  for (const part of parts) check(part);
  return parts;
}

/** A name, or the beginning of names with a `*` behind it. */
function requirePattern(what: string, text: string): void {
  if (/^[^\s=*]*\*?$/.test(text)) return;
  throw new TandemError(
    "invalid_argument",
    `${what}: ${shown(text)} is neither the name of a variable nor the beginning of some, such as APP_*`,
  );
}

function wrap<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw TandemError.from(error, what);
  }
}

function sameProtocol(allowed: string, wanted: string): boolean {
  if (!networkProtocols.some((name) => name === wanted))
    throw new TandemError("invalid_argument", `${wanted} is none of ${networkProtocols.join(", ")}`);
  return allowed === wanted;
}

const rootAccess = ["none", "ro", "rw"] as const;

export type RootAccess = (typeof rootAccess)[number];

/** Every setting, by the name that the TOML's keys and, behind `tandem.dev/`, annotations have. */
export const settings = {
  outbound: list("--allow, -S http, -S inherit-network", "nobody", outboundCovers),
  inbound: list("--bind, -S inherit-network", "nothing", inboundCovers),
  protocols: {
    ...list("-S tcp, udp, http, allow-ip-name-lookup", "tcp, udp, dns, http", sameProtocol),
    permits: (wanted, allowed) =>
      allowed.length === 0 || wanted.every((one) => allowed.flat().some((other) => sameProtocol(other, one))),
    ceiling: (most) => most,
  } satisfies Setting<readonly string[]>,
  env: free("--env, -S inherit-env", "every variable of process.env", (what, text) =>
    readList(text, (part) => requirePattern(what, part)),
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
    ceiling: (most: RootAccess) => most,
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
  ...httpSettings,
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
