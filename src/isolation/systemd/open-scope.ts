import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { TandemError } from "../../errors.ts";
import { native } from "../../native.ts";
import { ownRights } from "../../rights.ts";
import { checkResources } from "../cgroup/check-resources.ts";
import { type CgroupLayout, cgroupLayout, parseLayout } from "../cgroup/layout.ts";
import { type CgroupPaths, cgroupPathsOf } from "../cgroup/paths.ts";
import { type Cgroup, type CgroupRequest, limitCgroup, openRdt, type SystemdUnit } from "../cgroup.ts";
import type { IntelRdt } from "../intel-rdt.ts";
import { annotatedProperties } from "./annotations.ts";
import { limitProperties, understood } from "./limits.ts";
import { Manager, type UnitProperty } from "./manager.ts";
import { managerAddresses, managerKind } from "./manager-addresses.ts";
import { type Placeholder, Scope } from "./scope.ts";
import { type ScopeName, scopeName } from "./unit-name.ts";

export interface ScopeRequest extends CgroupRequest {
  /** Those of config.json: some are properties of the scope. */
  readonly annotations: Readonly<Record<string, string>> | undefined;
  /** Where DBUS_… and XDG_RUNTIME_DIR are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Called once systemd is known to be there. */
  placeholder(): Promise<Placeholder>;
}

/**
 * The systemd cgroup driver: a container's cgroup as a transient scope, delegated to us (systemd's CGROUP_DELEGATION.md). systemd makes
 * it and learns the limits that it has properties for; everything is then set in the cgroup itself, as with cgroupfs. On failure
 * nothing of it is left.
 *
 * @throws TandemError failed_precondition when systemd does not run here; already_exists for a unit of that name; invalid_argument
 * naming the property of config.json that cannot be honoured
 */
export async function openScope(request: ScopeRequest): Promise<Cgroup> {
  const { cgroupsPath, namespace, id } = request;
  const layout = cgroupLayout();
  const kind = managerKind();
  const name = scopeName(cgroupsPath, { namespace, id, kind });
  const limits = limitProperties(layout, checkResources(request.resources ?? {}), undefined);
  const asked = annotatedProperties(request.annotations ?? {});
  const unit: SystemdUnit = { name: name.unit, addresses: managerAddresses(kind, request.env) };
  return Manager.use(unit.addresses, async (manager) => {
    const placeholder = await request.placeholder();
    let started = false;
    try {
      const own = ownProperties(layout, name, { id, pid: placeholder.pid });
      await start(manager, name.unit, [...own, ...(await understood(manager, limits)), ...asked]);
      started = true;
      const [paths, rdt] = fill(layout, placeOf(placeholder.pid, layout, name.unit), request);
      return new Scope(paths, rdt, unit, placeholder);
    } catch (error) {
      await placeholder.release();
      if (started) await manager.stop(name.unit);
      throw TandemError.from(error, `scope ${name.unit}`);
    }
  });
}

/** Makes the directories that systemd does not, and writes all limits. */
function fill(
  layout: CgroupLayout,
  paths: CgroupPaths,
  request: CgroupRequest,
): [CgroupPaths, IntelRdt | undefined] {
  native.makeCgroups(paths.all, paths.v1.get("cpuset") ?? "");
  const rdt = openRdt(request);
  try {
    // systemd has put rules of its own for devices into a v1 directory.
    limitCgroup(layout, paths, request.resources, { isNew: paths.v1.size === 0 });
  } catch (error) {
    native.removeCgroups(rdt?.ownDirs ?? []);
    throw error;
  }
  return [paths, rdt];
}

/** A unit that failed keeps its name until it is reset: one that a container of the same name left behind. */
async function start(manager: Manager, unit: string, properties: readonly UnitProperty[]): Promise<void> {
  try {
    await manager.startTransient(unit, properties);
  } catch (error) {
    if (!(error instanceof TandemError && error.code === "already_exists")) throw error;
    await manager.reset(unit);
    await manager.startTransient(unit, properties);
  }
}

function ownProperties(
  layout: CgroupLayout,
  { slice }: ScopeName,
  { id, pid }: { readonly id: string; readonly pid: number },
): readonly UnitProperty[] {
  const flag = (name: string, value: boolean): UnitProperty => [name, { signature: "b", value }];
  const text = (name: string, value: string): UnitProperty => [name, { signature: "s", value }];
  return [
    text("Description", `Tandem container ${id}`),
    text("Slice", slice),
    ["PIDs", { signature: "au", value: [pid] }],
    flag("Delegate", true),
    flag("CPUAccounting", true),
    flag("MemoryAccounting", true),
    flag("TasksAccounting", true),
    flag(layout.mode === "v2" ? "IOAccounting" : "BlockIOAccounting", true),
    // Otherwise it would conflict with shutdown.target, and be stopped before the engine can do so in order.
    flag("DefaultDependencies", false),
    // One that failed does not stay behind as a name.
    text("CollectMode", "inactive-or-failed"),
  ];
}

/**
 * The scope's directories: where systemd has put the placeholder. In a hierarchy that it does not use it is the same path,
 * which only the machine's root may make.
 */
function placeOf(pid: number, layout: CgroupLayout, unit: string): CgroupPaths {
  const { hierarchies } = parseLayout(
    readFileSync("/proc/self/mountinfo", "utf8"),
    readFileSync(`/proc/${pid}/cgroup`, "utf8"),
  );
  const isThere = (directory: string | undefined) => directory?.endsWith(`/${unit}`) === true;
  const known = hierarchies.find(({ ownDirectory }) => isThere(ownDirectory));
  if (known?.ownDirectory === undefined) {
    throw new TandemError(
      "failed_precondition",
      `process ${pid} is not in it: systemd's cgroups are not the ones mounted here`,
    );
  }
  const relative = posix.relative(known.mountPoint, known.ownDirectory);
  return cgroupPathsOf(
    layout,
    hierarchies.flatMap(({ mountPoint, ownDirectory }) => {
      if (ownDirectory !== undefined && isThere(ownDirectory)) return [ownDirectory];
      return ownRights().machineRoot ? [posix.join(mountPoint, relative)] : [];
    }),
  );
}
