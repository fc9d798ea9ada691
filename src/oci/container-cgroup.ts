import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import type { Spec } from "../bundle/spec.ts";
import { spawnPlaceholder } from "../executor/placeholder.ts";
import { cgroupLayout, cgroupLayoutAt } from "../isolation/cgroup/layout.ts";
import { cgroupPaths } from "../isolation/cgroup/paths.ts";
import { type Cgroup, type CgroupRequest, openCgroup } from "../isolation/cgroup.ts";
import { ownRights } from "../rights.ts";
import type { Context } from "./command.ts";
import { Store } from "./store.ts";

const DEFAULT_CGROUP = "tandem-oci";

/** By the driver that the command line names; systemd's is loaded when it is wanted. */
export async function openContainerCgroup(context: Context, id: string, spec: Spec): Promise<Cgroup> {
  const request = cgroupRequest(context, id, spec.linux);
  if (!context.systemdCgroup) return openCgroup({ ...request, none: context.noCgroup });
  const { openScope } = await import("../isolation/systemd/open-scope.ts");
  return openScope({
    ...request,
    cgroupsPath: spec.linux?.cgroupsPath,
    annotations: spec.annotations,
    env: Object.fromEntries(context.call.env),
    placeholder: () => spawnPlaceholder(context.containerInit),
  });
}

/** The directories that there are of a container whose config.json names no cgroup, by the cgroupfs driver. */
export function usualCgroups(context: Pick<Context, "call" | "store">, id: string): string[] {
  const request = cgroupRequest(context, id, undefined);
  const layout = request.member === undefined ? cgroupLayout() : cgroupLayoutAt(request.member);
  return cgroupPaths(layout, request).all.filter((directory) => existsSync(directory));
}

/**
 * Without a path of its own a container's cgroup is named by its id, and by its `--root` unless that is the usual one. Who is not
 * root may have something delegated where they are: it is below the client's own cgroup then.
 */
function cgroupRequest(
  context: Pick<Context, "call" | "store">,
  id: string,
  linux: Spec["linux"],
): CgroupRequest {
  const { root } = context.store;
  const hash = createHash("sha256").update(root).digest("hex").slice(0, 8);
  const given = linux?.cgroupsPath;
  // Not a parent for each root: parents stay, and there are callers with a root for every container.
  const name = root === Store.usual ? id : `${hash}-${id}`;
  // The place of a relative path is the runtime's to choose (runtime-spec, config-linux.md "Cgroups Path").
  const path = given === undefined || given === "" ? `${DEFAULT_CGROUP}/${name}` : given;
  const { machineRoot } = ownRights();
  return {
    cgroupsPath: path.startsWith("/") || !machineRoot ? path : `/${path}`,
    ...(machineRoot ? {} : { member: context.call.pid }),
    namespace: DEFAULT_CGROUP,
    id,
    resources: linux?.resources,
    intelRdt: linux?.intelRdt,
  };
}
