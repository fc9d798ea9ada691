import type { Spec } from "../bundle/spec.ts";
import { shown, TandemError } from "../errors.ts";
import type { OwnNamespace } from "./namespaces.ts";

/** A device that the container gets from the runtime's network namespace. */
export interface NetDevice {
  readonly name: string;
  /** In the container; with `%d` the kernel chooses the number. */
  readonly newName: string;
  readonly property: string;
}

const NAME_BYTES = 15; // IFNAMSIZ with its NUL

/**
 * `linux.netDevices` (runtime-spec 1.3, config-linux.md "Network Devices").
 *
 * @throws TandemError invalid_argument naming the device
 */
export function planNetDevices(linux: Spec["linux"], own: OwnNamespace): readonly NetDevice[] {
  const devices = Object.entries(linux?.netDevices ?? {}).map(([name, { name: given = "" }]) => {
    const property = `linux.netDevices.${shown(name)}`;
    const newName = given === "" ? name : given;
    if (!isName(name, false)) refuse(property, "is no name of a network device");
    if (!isName(newName, true))
      refuse(`${property}.name`, `${shown(newName)} is no name of a network device`);
    if (!own("network")) refuse(property, "needs a network namespace");
    return { name, newName, property };
  });
  const names = devices.map(({ newName }) => newName).filter((name) => !name.includes("%"));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) refuse("linux.netDevices", `two devices are to be called ${twice}`);
  return devices;
}

/** dev_valid_name of net/core/dev.c; of templates, the kernel has one `%d`. */
function isName(name: string, mayBeTemplate: boolean): boolean {
  const plain = mayBeTemplate ? name.replace("%d", "") : name;
  return (
    name !== "" &&
    name !== "." &&
    name !== ".." &&
    Buffer.byteLength(name) <= NAME_BYTES &&
    !/[/:%\s]/.test(plain)
  );
}

function refuse(property: string, reason: string): never {
  throw new TandemError("invalid_argument", `${property}: ${reason}`);
}
