import { existsSync, readFileSync } from "node:fs";
import type { LinuxResources } from "../../bundle/resources.ts";
import { TandemError } from "../../errors.ts";
import { native } from "../../native.ts";
import { whyAbsent } from "./delegated.ts";
import { type CgroupPaths, hasV1Limits } from "./paths.ts";
import { isSet, refuse, type Setting } from "./setting.ts";
import { v1Settings } from "./v1-settings.ts";
import { v2Settings } from "./v2-settings.ts";

/**
 * Writes every limit that `resources` gives, and nothing else.
 *
 * @throws TandemError invalid_argument naming the first property that this kernel cannot honour.
 */
export function applyResources(paths: CgroupPaths, resources: LinuxResources): void {
  if (resources.memory?.checkBeforeUpdate === true) checkUsage(paths, resources.memory.limit);
  if (hasV1Limits(paths)) applySettings(paths, inKernelOrder(paths, resourceSettings(resources, 1, paths)));
  else applySettings(paths, resourceSettings(resources, 2, paths));
}

/** @param paths undefined for a cgroup that is yet to be made: then its files are taken to hold what the kernel puts there */
export function resourceSettings(
  resources: LinuxResources,
  version: 1 | 2,
  paths: CgroupPaths | undefined,
): Setting[] {
  const settings = version === 1 ? v1Settings : v2Settings;
  if (paths === undefined) return settings(resources, { exists: () => false, read: () => "max 100000" });
  return settings(resources, {
    exists: (controller, file) => existsSync(`${directoryFor(paths, controller)}/${file}`),
    read: (controller, file) => readFileSync(`${directoryFor(paths, controller)}/${file}`, "utf8").trim(),
  });
}

function directoryFor(paths: CgroupPaths, controller: string): string | undefined {
  return hasV1Limits(paths) ? paths.v1.get(controller) : paths.unified;
}

function applySettings(paths: CgroupPaths, settings: readonly Setting[]): void {
  if (settings.length === 0) return;
  const pairs: string[] = [];
  for (const setting of settings) pairs.push(fileOf(paths, setting), setting.data);
  try {
    native.writeFiles(pairs);
  } catch (error) {
    throw explain(paths, settings, error);
  }
}

function fileOf(paths: CgroupPaths, { controller, file, property }: Setting): string {
  const directory = directoryFor(paths, controller);
  if (directory !== undefined) return `${directory}/${file}`;
  const mount = paths.absent.get(hasV1Limits(paths) ? controller : "");
  if (mount !== undefined)
    throw new TandemError(
      "failed_precondition",
      `${property}: cannot be set, the container has no cgroup in ${mount}: ${whyAbsent()}`,
    );
  throw new TandemError("invalid_argument", `${property}: no ${controller} controller is mounted`);
}

/** Names the property whose write failed. Files are written in order, so the first setting of that path and error is the one. */
function explain(paths: CgroupPaths, settings: readonly Setting[], error: unknown): TandemError {
  const { code, message } = error as NodeJS.ErrnoException;
  const failed = settings.find((setting) => message.includes(`${fileOf(paths, setting)}:`));
  if (failed === undefined) return TandemError.from(error, "linux.resources");
  if (code === "ENOENT")
    return new TandemError("invalid_argument", `${failed.property}: no such cgroup file (${failed.file})`);
  const what = `${failed.property}: ${JSON.stringify(failed.data)} is refused by the kernel`;
  return new TandemError("invalid_argument", `${what} (${message})`, { cause: error });
}

/**
 * The kernel refuses a memory limit above the limit of memory and swap, and a period that makes the quota exceed the
 * parent's: whichever grows must go first (or last). What is there now decides.
 */
function inKernelOrder(paths: CgroupPaths, settings: Setting[]): Setting[] {
  swapIfGrowing(paths, settings, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes");
  return settings;
}

function swapIfGrowing(paths: CgroupPaths, settings: Setting[], first: string, second: string): void {
  const left = settings.findIndex(({ file }) => file === first);
  const right = settings.findIndex(({ file }) => file === second);
  const [leftSetting, rightSetting] = [settings[left], settings[right]];
  if (leftSetting === undefined || rightSetting === undefined) return;
  const current = readNumber(fileOf(paths, rightSetting));
  const wanted = BigInt(rightSetting.data);
  if (current === undefined || (wanted >= 0n && wanted <= current)) return;
  settings[left] = rightSetting;
  settings[right] = leftSetting;
}

function checkUsage(paths: CgroupPaths, limit: number | undefined): void {
  if (!isSet(limit) || limit < 0) return;
  const memory = paths.v1.get("memory");
  const file = memory === undefined ? `${paths.unified}/memory.current` : `${memory}/memory.usage_in_bytes`;
  const usage = readNumber(file);
  if (usage !== undefined && usage > BigInt(limit))
    refuse("memory.limit", `${limit} is below what is in use, ${usage}`);
}

function readNumber(path: string): bigint | undefined {
  try {
    return BigInt(readFileSync(path, "utf8").trim());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
