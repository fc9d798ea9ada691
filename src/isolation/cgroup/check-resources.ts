import type { LinuxResources } from "../../bundle/resources.ts";
import { flag, integer, list, map, object, optional, text, uint32 } from "../../bundle/shape.ts";

const int64 = optional(integer(-(2 ** 63), 2 ** 63));
const uint64 = optional(integer(0, 2 ** 64));
const uint16 = optional(integer(0, 0xffff));
const deviceNumber = integer(0, 0xffff_ffff);

const rates = optional(list(object({ major: deviceNumber, minor: deviceNumber, rate: integer(0, 2 ** 64) })));

const resources = object({
  devices: optional(
    list(object({ allow: flag, type: optional(text), major: int64, minor: int64, access: optional(text) })),
  ),
  memory: optional(
    object({
      limit: int64,
      reservation: int64,
      swap: int64,
      kernel: int64,
      kernelTCP: int64,
      swappiness: uint64,
      disableOOMKiller: optional(flag),
      useHierarchy: optional(flag),
      checkBeforeUpdate: optional(flag),
    }),
  ),
  cpu: optional(
    object({
      shares: uint64,
      quota: int64,
      burst: uint64,
      period: uint64,
      realtimeRuntime: int64,
      realtimePeriod: uint64,
      cpus: optional(text),
      mems: optional(text),
      idle: int64,
    }),
  ),
  pids: optional(object({ limit: int64 })),
  blockIO: optional(
    object({
      weight: uint16,
      leafWeight: uint16,
      weightDevice: optional(
        list(object({ major: deviceNumber, minor: deviceNumber, weight: uint16, leafWeight: uint16 })),
      ),
      throttleReadBpsDevice: rates,
      throttleWriteBpsDevice: rates,
      throttleReadIOPSDevice: rates,
      throttleWriteIOPSDevice: rates,
    }),
  ),
  hugepageLimits: optional(list(object({ pageSize: text, limit: integer(0, 2 ** 64) }))),
  network: optional(
    object({
      classID: optional(uint32),
      priorities: optional(list(object({ name: text, priority: uint32 }))),
    }),
  ),
  rdma: optional(map(object({ hcaHandles: optional(uint32), hcaObjects: optional(uint32) }))),
  unified: optional(map(text)),
});

/**
 * Checks that `linux.resources`, as JSON gave it, has the types that the spec says (schema/defs-linux.json).
 *
 * @throws TandemError invalid_argument naming the property.
 */
export function checkResources(json: LinuxResources): LinuxResources {
  return resources(json, "linux.resources");
}
