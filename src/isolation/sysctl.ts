import type { Spec } from "../bundle/spec.ts";
import { shown, TandemError } from "../errors.ts";
import type { NamespaceType, OwnNamespace } from "./namespaces.ts";
import type { StepOf } from "./steps.ts";

const ipcNames = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/**
 * Only parameters that a namespace of the container's own confines: any other would change the machine.
 *
 * @throws TandemError invalid_argument naming the parameter
 */
export function sysctlSteps(
  sysctl: NonNullable<Spec["linux"]>["sysctl"],
  own: OwnNamespace,
): StepOf<"sysctl">[] {
  return Object.entries(sysctl ?? {}).map(([key, value]) => {
    const property = `linux.sysctl.${shown(key)}`;
    const name = dotted(key);
    const namespace = namespaceOf(name);
    if (name === "kernel.hostname")
      throw new TandemError("invalid_argument", `${property}: is the property hostname's to set`);
    if (namespace === undefined) {
      throw new TandemError("invalid_argument", `${property}: is not confined by a namespace`);
    }
    if (!own(namespace))
      throw new TandemError("invalid_argument", `${property}: needs a ${namespace} namespace`);
    const path = name.replace(/[./]/g, (separator) => (separator === "." ? "/" : "."));
    if (path.split("/").some((part) => part === "" || part === "." || part === "..")) {
      throw new TandemError("invalid_argument", `${property}: is no name of a parameter`);
    }
    return { op: "sysctl", property, path: `/proc/sys/${path}`, value };
  });
}

/** sysctl(8): with a slash as the first separator, slashes separate and dots are part of a name. */
function dotted(key: string): string {
  const first = /[./]/.exec(key)?.[0];
  return first === "/" ? key.replace(/[./]/g, (separator) => (separator === "/" ? "." : "/")) : key;
}

function namespaceOf(name: string): NamespaceType | undefined {
  if (name.startsWith("net.")) return "network";
  // Limits on what a user namespace may have, namespaces(7).
  if (name.startsWith("user.")) return "user";
  if (ipcNames.has(name) || name.startsWith("fs.mqueue.")) return "ipc";
  if (name === "kernel.domainname") return "uts";
  return undefined;
}
