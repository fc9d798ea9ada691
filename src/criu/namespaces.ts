import type { NamespaceType } from "../isolation/namespaces.ts";

/** Kinds that criu leaves alone at the dump and gets by descriptor at the restore; the names are runc's. */
export const namespaceKeys: Partial<Record<NamespaceType, { readonly kind: string; readonly name: string }>> =
  {
    network: { kind: "net", name: "extRootNetNS" },
    pid: { kind: "pid", name: "extRootPidNS" },
  };

/** Kinds that it can enter by path at the restore. */
export const joinableNamespaces: Partial<Record<NamespaceType, string>> = {
  ipc: "ipc",
  uts: "uts",
  mount: "mnt",
  user: "user",
  time: "time",
};
