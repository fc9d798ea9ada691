import type { DeviceRule } from "../../bundle/resources.ts";
import { type DeviceException, deviceLine, devicePolicy } from "../cgroup/device-rules.ts";
import type { UnitProperty } from "./manager.ts";

/**
 * The device rules for a systemd on cgroup v1, which writes devices.allow and devices.deny of its units again at each change; on v2 a
 * BPF program of ours is in force beside systemd's, and it needs none.
 *
 * systemd knows lists of what is allowed only. For all but some it gets "all"; the exact rules are written afterwards.
 */
export function deviceProperties(
  rules: readonly DeviceRule[] | undefined,
  driverOf: (type: "c" | "b", major: number) => string | undefined,
): readonly UnitProperty[] {
  const { allowAll, exceptions } = devicePolicy(rules);
  const empty: UnitProperty = ["DeviceAllow", { signature: "a(ss)", value: [] }];
  if (allowAll) return [["DevicePolicy", { signature: "s", value: "auto" }], empty];
  const entries = exceptions.flatMap((exception) => {
    const name = nodeName(exception, driverOf);
    return name === undefined ? [] : [[name, deviceLine(exception).replace(/^.* /, "")] as const];
  });
  return [
    ["DevicePolicy", { signature: "s", value: "strict" }],
    // An assignment adds to the list; only an empty one makes it anew.
    empty,
    ["DeviceAllow", { signature: "a(ss)", value: entries }],
  ];
}

/** systemd.resource-control(5) "DeviceAllow=": a node, "char-*", or all devices of a driver of /proc/devices. */
function nodeName(
  { type, major, minor }: DeviceException,
  driverOf: (type: "c" | "b", major: number) => string | undefined,
): string | undefined {
  const kind = type === "c" ? "char" : "block";
  if (major === "*") return minor === "*" ? `${kind}-*` : undefined;
  if (minor !== "*") return `/dev/${kind}/${major}:${minor}`;
  const driver = driverOf(type, major);
  return driver === undefined ? undefined : `${kind}-${driver}`;
}

/** Looks a driver up in the text of /proc/devices. */
export function driversOf(text: string): (type: "c" | "b", major: number) => string | undefined {
  const [characters = "", blocks = ""] = text.split("Block devices:");
  return (type, major) =>
    new RegExp(`^ *${major} (\\S+)$`, "m").exec(type === "c" ? characters : blocks)?.[1];
}
