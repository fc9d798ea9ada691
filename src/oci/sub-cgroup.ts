import { existsSync } from "node:fs";
import { join } from "node:path";
import { TandemError } from "../errors.ts";
import { cgroupHierarchies } from "../executor/cgroup-hierarchies.ts";
import type { Cgroup } from "../isolation/cgroup.ts";

/**
 * `exec --cgroup PATH` and `--cgroup CONTROLLER[,CONTROLLER…]:PATH`: cgroups below the container's that are there already.
 * Without a controller it is the same path in every hierarchy.
 *
 * @throws TandemError invalid_argument
 */
export function parseSubCgroups(args: readonly string[]): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const arg of args) {
    const colon = arg.indexOf(":");
    if (colon < 0 && args.length > 1) refuse(arg, "one without a controller stands alone");
    const controllers = colon < 0 ? [""] : arg.slice(0, colon).split(",");
    for (const controller of controllers) {
      if (colon >= 0 && controller === "") refuse(arg, "the controller before the colon is missing");
      if (paths.has(controller)) refuse(arg, `${controller} is given twice`);
      paths.set(controller, arg.slice(colon + 1));
    }
  }
  return paths;
}

/** The container's cgroup, entered further down. @throws TandemError invalid_argument, not_found */
export function subCgroup(
  cgroup: Cgroup,
  paths: ReadonlyMap<string, string>,
): Pick<Cgroup, "unit" | "entrance" | "add"> {
  if (paths.size === 0) return cgroup;
  const used = new Set<string>();
  const below = new Map<string, string>();
  for (const { controllers, directory } of cgroupHierarchies(cgroup)) {
    const name = ["", ...controllers].find((controller) => paths.has(controller));
    if (name === undefined) continue;
    used.add(name);
    for (const controller of controllers) if (paths.has(controller)) used.add(controller);
    below.set(directory, directoryBelow(directory, paths.get(name) ?? ""));
  }
  for (const controller of paths.keys())
    if (!used.has(controller)) refuse(controller, "no such controller is mounted");
  const { taskFiles, unified, ...rest } = cgroup.entrance();
  return {
    // systemd moves processes into its units, and knows none further down.
    unit: undefined,
    add: (pid) => cgroup.add(pid),
    entrance: () => ({
      ...rest,
      taskFiles: taskFiles.map((file) => {
        const target = below.get(file.slice(0, -"/tasks".length));
        return target === undefined ? file : `${target}/tasks`;
      }),
      unified: unified === undefined ? undefined : (below.get(unified) ?? unified),
    }),
  };
}

function directoryBelow(directory: string, path: string): string {
  const target = join(directory, path);
  if (target !== directory && !target.startsWith(`${directory}/`))
    refuse(path, "leads out of the container's");
  if (!existsSync(target)) throw new TandemError("not_found", `--cgroup ${path}: no such cgroup (${target})`);
  return target;
}

function refuse(arg: string, reason: string): never {
  throw new TandemError("invalid_argument", `--cgroup ${arg}: ${reason}`);
}
