import { statSync } from "node:fs";
import type { GrantPlan, PreopenPlan, WasmMount } from "../../wasm-host/config.ts";
import type { Limits, NetworkProtocol } from "../../wasm-host/grant.ts";
import type { HttpLimits } from "../../wasm-host/http/limits.ts";
import { networkProtocols } from "../../wasm-host/network/rule.ts";
import { collectHttpLimits } from "./http-settings.ts";
import type { PodSettings } from "./pod-settings.ts";
import { limitSettings, type RootAccess, type SettingName, type SettingValues } from "./settings.ts";

/** What config.json grants by itself. */
export interface SpecGrant {
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  /** The image's root, and what is mounted in it. */
  readonly root: PreopenPlan;
}

/** A pod's grant: what config.json grants, as its settings have it. */
export function applySettings({ args, env, root }: SpecGrant, { values, envLists }: PodSettings): GrantPlan {
  const { outbound = [], inbound = [], protocols, clock, seed } = values;
  const limits = pick<Limits>(limitSettings, values);
  return {
    args,
    env: env.filter(([name]) => envLists.every((list) => list.some((pattern) => matches(pattern, name)))),
    preopens: preopensOf(root, values.rootfs),
    listeners: 0,
    ...(outbound.length + inbound.length === 0
      ? {}
      : {
          network: {
            outbound,
            inbound,
            ...(protocols === undefined ? {} : { protocols: protocolsOf(protocols) }),
          },
        }),
    ...(clock === undefined ? {} : { clocks: clock }),
    ...(seed === undefined ? {} : { random: seed }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

/** What is not as usual of an http component's server. */
export function httpLimitsOf(values: SettingValues): Partial<HttpLimits> {
  return collectHttpLimits((name) => values[name]);
}

function protocolsOf(names: readonly string[]): NetworkProtocol[] {
  return networkProtocols.filter((name) => names.includes(name));
}

function pick<T extends object>(
  names: Readonly<Record<keyof T & string, SettingName>>,
  values: SettingValues,
): Partial<T> {
  const entries = Object.entries<SettingName>(names).flatMap(([key, name]) =>
    values[name] === undefined ? [] : [[key, values[name]] as const],
  );
  return Object.fromEntries(entries) as Partial<T>;
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}

/** Without the image's root, what is mounted in it is all there is: each directory by itself. A single file is no directory. */
function preopensOf(root: PreopenPlan, access: RootAccess | undefined): PreopenPlan[] {
  if (access === undefined || access === "rw") return [root];
  if (access === "ro") return [{ ...root, readonly: true }];
  return root.mounts
    .filter(isDirectory)
    .map(({ target, source, readonly }) => ({ guestPath: target, source, readonly, mounts: [] }));
}

function isDirectory({ source }: WasmMount): boolean {
  return "tmpfs" in source || statSync(source.bind).isDirectory();
}
