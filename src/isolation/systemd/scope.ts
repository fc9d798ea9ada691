import type { LinuxResources } from "../../bundle/resources.ts";
import { checkResources } from "../cgroup/check-resources.ts";
import { KernelCgroup } from "../cgroup/kernel-cgroup.ts";
import { cgroupLayout } from "../cgroup/layout.ts";
import type { CgroupPaths } from "../cgroup/paths.ts";
import {
  type Cgroup,
  type CgroupRequest,
  loadParts,
  type RemoveOptions,
  type SystemdUnit,
} from "../cgroup.ts";
import type { IntelRdt } from "../intel-rdt.ts";

/** A process that does nothing but be there: a scope cannot be made without one, and ends with its last. */
export interface Placeholder {
  readonly pid: number;
  /** Ends it and waits until it is gone. */
  release(): Promise<void>;
}

/** The scope of a container that exists, from what was recorded of it; as `loadCgroup`. */
export function loadScope(
  dirs: readonly string[],
  unit: SystemdUnit,
  container: Partial<Pick<CgroupRequest, "id" | "intelRdt">> = {},
): Cgroup {
  return new Scope(...loadParts(dirs, container), unit, undefined);
}

/** A cgroup that systemd looks after as well: it hears of new limits and of the end. What speaks to it is loaded only then. */
export class Scope extends KernelCgroup {
  override readonly unit: SystemdUnit;
  readonly #paths: CgroupPaths;
  #placeholder: Placeholder | undefined;

  constructor(
    paths: CgroupPaths,
    rdt: IntelRdt | undefined,
    unit: SystemdUnit,
    placeholder: Placeholder | undefined,
  ) {
    super(paths, rdt);
    this.#paths = paths;
    this.unit = unit;
    this.#placeholder = placeholder;
  }

  override async settle(): Promise<void> {
    const placeholder = this.#placeholder;
    this.#placeholder = undefined;
    await placeholder?.release();
  }

  override async add(pid: number): Promise<void> {
    try {
      super.add(pid);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EACCES" && code !== "EPERM") throw error;
    }
    const { Manager } = await import("./manager.ts");
    const { name, addresses } = this.unit;
    await Manager.use(addresses, (manager) => manager.attach(name, pid));
  }

  override async update(given: LinuxResources): Promise<void> {
    const [{ Manager }, { limitProperties, understood }] = await Promise.all([
      import("./manager.ts"),
      import("./limits.ts"),
    ]);
    const limits = limitProperties(cgroupLayout(), checkResources(given), this.#paths);
    const { name, addresses } = this.unit;
    if (limits.length > 0) {
      await Manager.use(addresses, async (manager) =>
        manager.setProperties(name, await understood(manager, limits)),
      );
    }
    super.update(given);
  }

  override async remove(options?: RemoveOptions): Promise<void> {
    await this.settle();
    await super.remove(options);
    const { Manager } = await import("./manager.ts");
    const { name, addresses } = this.unit;
    // It ends by itself when it is empty; but only systemd's answer says that the name is free again.
    await Manager.use(addresses, (manager) => manager.stop(name));
  }
}
