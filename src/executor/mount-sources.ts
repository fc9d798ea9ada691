import { closeSync, openSync } from "node:fs";
import type { SpecIdMapping } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import type { MountSource } from "../isolation/mounts.ts";
import { idMapText, namespaceFlags } from "../isolation/namespaces.ts";
import { native } from "../native.ts";
import { writeMaps } from "./map-ids.ts";

/**
 * Opens a bind source, or makes a file system, as the machine's root; its owners mapped if asked for.
 *
 * @param container the executable that holds a user namespace, and the pid whose user namespace is "container"'s
 * @throws TandemError naming the mount
 */
export function openSource(
  source: MountSource,
  container: { readonly executable: number; readonly pid: number },
): number {
  const { from, idmap, property } = source;
  let namespace: number | undefined;
  try {
    if (idmap === "container") namespace = openSync(`/proc/${container.pid}/ns/user`, "r");
    else if (idmap !== undefined) namespace = userNamespaceOf(container.executable, idmap.uids, idmap.gids);
    return "path" in from
      ? native.openMountSource(from.path, {
          recursive: from.recursive,
          propagation: from.propagation,
          userNamespace: namespace,
          idmapRecursive: source.idmapRecursive,
        })
      : native.createMount(from.type, from.source, from.options, namespace);
  } catch (error) {
    throw TandemError.from(error, property);
  } finally {
    if (namespace !== undefined) closeSync(namespace);
  }
}

/** A user namespace needs a process to be made and mapped by; it lives on in its descriptor. */
function userNamespaceOf(
  executable: number,
  uids: readonly SpecIdMapping[] | undefined,
  gids: readonly SpecIdMapping[] | undefined,
): number {
  const [ours, theirs] = native.socketpair();
  const maker = native.spawnInit({
    cgroupFiles: [],
    cgroupDirectory: undefined,
    executable,
    stdio: [theirs, theirs, theirs],
    socket: theirs,
    newNamespaces: namespaceFlags.user,
    joinNamespaces: [],
  });
  try {
    writeMaps(maker.pid, { uids: idMapText(uids), gids: idMapText(gids) });
    return openSync(`/proc/${maker.pid}/ns/user`, "r");
  } finally {
    // Without a plan it ends by itself.
    closeSync(ours);
    closeSync(theirs);
    native.waitReadable(maker.pidfd, -1);
    native.waitPidfd(maker.pidfd);
    closeSync(maker.pidfd);
  }
}
