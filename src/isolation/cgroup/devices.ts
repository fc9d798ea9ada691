import { readFileSync } from "node:fs";
import type { DeviceRule } from "../../bundle/resources.ts";
import { TandemError } from "../../errors.ts";
import { native } from "../../native.ts";
import { ownRights } from "../../rights.ts";
import { deviceProgram } from "./device-program.ts";
import {
  type DeviceException,
  type DevicePolicy,
  deviceLine,
  devicePolicy,
  parseDeviceLine,
} from "./device-rules.ts";
import type { CgroupPaths } from "./paths.ts";
import { refuse } from "./setting.ts";

/**
 * What the container may do with devices; absent rules leave it the default devices (`devicePolicy`).
 *
 * @throws TandemError invalid_argument for rules that cannot be kept; what the kernel says when it refuses them.
 */
export function applyDevices(
  paths: CgroupPaths,
  rules: readonly DeviceRule[] | undefined,
  options: { readonly isNew: boolean },
): void {
  const policy = devicePolicy(rules);
  // Only the machine's root may say what a cgroup can do with devices. In a user namespace nobody can make a node of one, and the
  // nodes that are bound are this user's to open anyway.
  if (!ownRights().machineRoot) return;
  // Made without any cgroup, as its caller asked.
  if (paths.all.length === 0 && paths.absent.size > 0) return;
  const directory = paths.v1.get("devices");
  try {
    if (directory !== undefined)
      native.writeFiles(options.isNew ? firstWrites(directory, policy) : changes(directory, policy));
    else applyProgram(paths, policy, options);
  } catch (error) {
    throw TandemError.from(error, "linux.resources.devices");
  }
}

function applyProgram(paths: CgroupPaths, policy: DevicePolicy, { isNew }: { isNew: boolean }): void {
  if (paths.unified === undefined || paths.v1.size > 0) refuse("devices", "no devices controller is mounted");
  // Nothing to forbid and nothing to replace: no program, and no need of CAP_BPF.
  if (isNew && policy.allowAll && policy.exceptions.length === 0) return;
  native.attachDeviceProgram(paths.unified, deviceProgram(policy));
}

/** A new cgroup has its parent's rules, so "allow everything" has nothing to write. */
function firstWrites(directory: string, policy: DevicePolicy): string[] {
  const { allowAll, exceptions } = policy;
  const file = `${directory}/${allowAll ? "devices.deny" : "devices.allow"}`;
  const pairs = allowAll ? [] : [`${directory}/devices.deny`, "a"];
  for (const exception of exceptions) pairs.push(file, deviceLine(exception));
  return pairs;
}

/**
 * An update must not take /dev/null away for a moment: what is new is allowed first, then what is no longer wanted is denied.
 * CRI sends all rules with every change of a limit; then there is nothing to write.
 */
function changes(directory: string, policy: DevicePolicy): string[] {
  const current = readFileSync(`${directory}/devices.list`, "utf8").split("\n").filter(Boolean);
  if (policy.allowAll) return [`${directory}/devices.allow`, "a", ...firstWrites(directory, policy)];
  // The list of a cgroup that allows everything is one line, without its exceptions.
  if (current.some((line) => line.startsWith("a "))) return firstWrites(directory, policy);
  const have = new Map(current.map(parseDeviceLine).map((rule) => [key(rule), rule]));
  const want = new Map(policy.exceptions.map((rule) => [key(rule), rule]));
  return [
    ...difference(want, have).flatMap((line) => [`${directory}/devices.allow`, line]),
    ...difference(have, want).flatMap((line) => [`${directory}/devices.deny`, line]),
  ];
}

function key({ type, major, minor }: DeviceException): string {
  return `${type} ${major}:${minor}`;
}

/** Lines for the accesses in `left` that `right` lacks. */
function difference(
  left: ReadonlyMap<string, DeviceException>,
  right: ReadonlyMap<string, DeviceException>,
): string[] {
  return [...left].flatMap(([name, rule]) => {
    const access = rule.access & ~(right.get(name)?.access ?? 0);
    return access === 0 ? [] : [deviceLine({ ...rule, access })];
  });
}
