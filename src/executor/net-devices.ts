import { openSync } from "node:fs";
import { TandemError } from "../errors.ts";
import type { NetDevice } from "../isolation/net-devices.ts";
import { native } from "../native.ts";

/**
 * Moves devices from the runtime's network namespace into that of a container that is being made.
 *
 * @param pid of a process in the container's network namespace
 * @param opened gets the descriptors that the caller closes when the container is made or has failed
 * @returns takes them back, for a container that will not be: with its namespace the kernel would destroy those that are
 * virtual. A container that has lived keeps them (runtime-spec, "Namespace Lifecycle and Container Termination").
 * @throws TandemError naming the device; those moved before it are back then
 */
export function moveNetDevices(devices: readonly NetDevice[], pid: number, opened: number[]): () => void {
  if (devices.length === 0) return () => undefined;
  const open = (path: string): number => {
    const fd = openSync(path, "r");
    opened.push(fd);
    return fd;
  };
  const own = open("/proc/thread-self/ns/net");
  // It lives as long as this descriptor, whatever becomes of the process.
  const container = open(`/proc/${pid}/ns/net`);
  const moved: { readonly name: string; readonly there: string; readonly wasUp: boolean }[] = [];
  const takeBack = (): void => {
    for (const { name, there, wasUp } of moved.splice(0).reverse()) {
      native.moveNetDevice(container, own, there, name, wasUp);
    }
  };
  for (const { name, newName, property } of devices) {
    try {
      const { name: there, wasUp } = native.moveNetDevice(own, container, name, newName, true);
      moved.push({ name, there, wasUp });
    } catch (error) {
      takeBack();
      throw TandemError.from(error, property);
    }
  }
  return takeBack;
}
