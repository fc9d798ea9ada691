import { createHash } from "node:crypto";
import type { Spec } from "../bundle/spec.ts";
import { spawnPlaceholder } from "../executor/placeholder.ts";
import { cgroupLayoutAt } from "../isolation/cgroup/layout.ts";
import { type Cgroup, type CgroupRequest, openCgroup } from "../isolation/cgroup.ts";
import { ownRights } from "../rights.ts";
import type { Context } from "./command.ts";
import { Store } from "./store.ts";

/** What a container's cgroup is below when config.json names none; of a scope the prefix. */
export const DEFAULT_CGROUP = "tandem-oci";

/** By the driver that the command line names; systemd's is loaded when it is wanted. */
export async function openContainerCgroup(context: Context, id: string, spec: Spec): Promise<Cgroup> {
  const request = cgroupRequest(context, id, spec.linux);
  if (!context.systemdCgroup) return openCgroup({ ...request, none: context.noCgroup });
  const { openScope } = await import("../isolation/systemd/open-scope.ts");
  return openScope({
    ...request,
    cgroupsPath: spec.linux?.cgroupsPath || usualScope(context.store, id),
    annotations: spec.annotations,
    env: Object.fromEntries(context.call.env),
    placeholder: () => spawnPlaceholder(context.containerInit),
  });
}

/**
 * Without a path of its own a container's cgroup is named by its id, and by its `--root` unless that is the usual one: not by a parent
 * for each root, since parents stay, and there are callers with a root for every container.
 */
export function usualName({ root }: Pick<Store, "root">, id: string): string {
  return root === Store.usual ? id : `${createHash("sha256").update(root).digest("hex").slice(0, 8)}-${id}`;
}

/** The same for systemd's driver, as `linux.cgroupsPath` has it. */
export function usualScope(store: Pick<Store, "root">, id: string): string {
  return `:${DEFAULT_CGROUP}:${usualName(store, id)}`;
}

/** Who is not root may have something delegated where they are: a relative path is below the client's own cgroup then. */
function cgroupRequest({ call, store }: Context, id: string, linux: Spec["linux"]): CgroupRequest {
  const given = linux?.cgroupsPath;
  // The place of a relative path is the runtime's to choose (runtime-spec, config-linux.md "Cgroups Path").
  const path = given === undefined || given === "" ? `${DEFAULT_CGROUP}/${usualName(store, id)}` : given;
  const { machineRoot } = ownRights();
  return {
    cgroupsPath: path.startsWith("/") || !machineRoot ? path : `/${path}`,
    ...(machineRoot ? {} : { member: call.lookAtClient(cgroupLayoutAt) }),
    namespace: DEFAULT_CGROUP,
    id,
    resources: linux?.resources,
    intelRdt: linux?.intelRdt,
  };
}
