import { readFileSync } from "node:fs";
import type { DeviceRule, LinuxResources } from "../../bundle/resources.ts";
import { resourceSettings } from "../cgroup/apply.ts";
import type { CgroupLayout } from "../cgroup/layout.ts";
import type { CgroupPaths } from "../cgroup/paths.ts";
import { deviceProperties, driversOf } from "./device-properties.ts";
import type { Manager, UnitProperty } from "./manager.ts";
import { knownTo, needsVersion, unitProperties } from "./properties.ts";

/** What systemd is to know of `linux.resources`. @param paths undefined before the cgroup exists */
export function limitProperties(
  layout: CgroupLayout,
  resources: LinuxResources,
  paths: CgroupPaths | undefined,
): readonly UnitProperty[] {
  const limits = unitProperties(resourceSettings(resources, layout.mode === "v2" ? 2 : 1, paths));
  return layout.mode === "v2" ? limits : [...limits, ...v1Devices(resources.devices, paths === undefined)];
}

/** An update without device rules leaves them. */
function v1Devices(rules: readonly DeviceRule[] | undefined, isNew: boolean): readonly UnitProperty[] {
  if (rules === undefined && !isNew) return [];
  return deviceProperties(rules, driversOf(readFileSync("/proc/devices", "utf8")));
}

/** Those of the properties that this systemd has. */
export async function understood(
  manager: Manager,
  properties: readonly UnitProperty[],
): Promise<readonly UnitProperty[]> {
  return needsVersion(properties) ? knownTo(await manager.version(), properties) : properties;
}
