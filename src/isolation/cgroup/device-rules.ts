import type { DeviceRule } from "../../bundle/resources.ts";
import { TandemError } from "../../errors.ts";
import { refuse } from "./setting.ts";

export const readAccess = 1;
export const writeAccess = 2;
export const mknodAccess = 4;
const everyAccess = readAccess | writeAccess | mknodAccess;

/** One device or range: major and minor are numbers, or "*". `access` is a set of the three bits above. */
export interface DeviceException {
  readonly type: "c" | "b";
  readonly major: number | "*";
  readonly minor: number | "*";
  readonly access: number;
}

/** What the ordered rules of a spec come to: everything or nothing, but for these. */
export interface DevicePolicy {
  readonly allowAll: boolean;
  readonly exceptions: readonly DeviceException[];
}

/**
 * Allowed after the spec's own rules, as runc does: mknod of anything (capabilities and no_new_privs guard it; using a node
 * is what the controller guards), the devices that config-linux.md "Default Devices" puts into every container's /dev, and
 * its pseudo-terminals.
 */
const alwaysAllowed: readonly DeviceException[] = [
  { type: "c", major: "*", minor: "*", access: mknodAccess },
  { type: "b", major: "*", minor: "*", access: mknodAccess },
  { type: "c", major: 1, minor: 3, access: everyAccess }, // null
  { type: "c", major: 1, minor: 8, access: everyAccess }, // random
  { type: "c", major: 1, minor: 7, access: everyAccess }, // full
  { type: "c", major: 5, minor: 0, access: everyAccess }, // tty
  { type: "c", major: 1, minor: 5, access: everyAccess }, // zero
  { type: "c", major: 1, minor: 9, access: everyAccess }, // urandom
  { type: "c", major: 136, minor: "*", access: everyAccess }, // pts
  { type: "c", major: 5, minor: 2, access: everyAccess }, // ptmx
];

/**
 * Reduces the rules of a spec to a policy. Starts from "nothing is allowed".
 *
 * @throws TandemError invalid_argument for a rule that makes no sense, or that would make a hole in a range: neither
 * cgroup v1 nor a policy can say that, and to drop it would allow what the spec forbids.
 */
export function devicePolicy(rules: readonly DeviceRule[] | undefined): DevicePolicy {
  let allowAll = false;
  let exceptions = new Map<string, DeviceException>();
  const apply = (allow: boolean, rule: DeviceException, name?: string) => {
    const key = `${rule.type} ${rule.major}:${rule.minor}`;
    const known = exceptions.get(key);
    if (allow !== allowAll) {
      exceptions.set(key, { ...rule, access: rule.access | (known?.access ?? 0) });
      return;
    }
    // Back to what holds by default: drop the exception, and see that no wider one keeps it alive.
    for (const other of exceptions.values()) {
      if (other === known || (other.access & rule.access) === 0 || !overlaps(other, rule)) continue;
      if (isWithin(other, rule)) dropAccess(exceptions, other, rule.access);
      else if (name !== undefined) refuse(name, "contradicts an earlier rule for a range around it");
    }
    if (known !== undefined) dropAccess(exceptions, known, rule.access);
  };
  rules?.forEach((rule, index) => {
    const name = `devices[${index}]`;
    const types = ruleTypes(rule, name);
    const access = accessBits(rule.access, name);
    const major = deviceNumber(rule.major, `${name}.major`);
    const minor = deviceNumber(rule.minor, `${name}.minor`);
    if (types === "a") {
      if (access !== everyAccess || major !== "*" || minor !== "*") {
        for (const type of ["c", "b"] as const) apply(rule.allow, { type, major, minor, access }, name);
        return;
      }
      allowAll = rule.allow;
      exceptions = new Map();
      return;
    }
    apply(rule.allow, { type: types, major, minor, access }, name);
  });
  for (const allowed of alwaysAllowed) apply(true, allowed);
  return { allowAll, exceptions: [...exceptions.values()] };
}

function ruleTypes(rule: DeviceRule, name: string): "a" | "b" | "c" {
  switch (rule.type) {
    case undefined:
    case "":
    case "a":
      return "a";
    case "c":
    case "u":
    case "p":
      return "c";
    case "b":
      return "b";
    default:
      return refuse(`${name}.type`, `unknown device type ${JSON.stringify(rule.type)}`);
  }
}

function accessBits(access: string | undefined, name: string): number {
  if (access === undefined || access === "") return everyAccess;
  let bits = 0;
  for (const letter of access) {
    if (letter === "r") bits |= readAccess;
    else if (letter === "w") bits |= writeAccess;
    else if (letter === "m") bits |= mknodAccess;
    else refuse(`${name}.access`, `unknown access ${JSON.stringify(letter)}`);
  }
  return bits;
}

/** The files and the program take 32 bits; of more they would make another device. */
function deviceNumber(value: number | undefined, name: string): number | "*" {
  if (value === undefined || value < 0) return "*";
  return value > 0xffff_ffff ? refuse(name, `${value} is no number of a device`) : value;
}

function overlaps(left: DeviceException, right: DeviceException): boolean {
  const meets = (a: number | "*", b: number | "*") => a === "*" || b === "*" || a === b;
  return left.type === right.type && meets(left.major, right.major) && meets(left.minor, right.minor);
}

function isWithin(inner: DeviceException, outer: DeviceException): boolean {
  const covers = (a: number | "*", b: number | "*") => a === "*" || a === b;
  return covers(outer.major, inner.major) && covers(outer.minor, inner.minor);
}

function dropAccess(exceptions: Map<string, DeviceException>, rule: DeviceException, access: number): void {
  const key = `${rule.type} ${rule.major}:${rule.minor}`;
  const left = rule.access & ~access;
  if (left === 0) exceptions.delete(key);
  else exceptions.set(key, { ...rule, access: left });
}

/** "c 1:3 rwm", as devices.allow and devices.deny read it. */
export function deviceLine({ type, major, minor, access }: DeviceException): string {
  const letters =
    (access & readAccess ? "r" : "") + (access & writeAccess ? "w" : "") + (access & mknodAccess ? "m" : "");
  return `${type} ${major}:${minor} ${letters}`;
}

/** The reverse of `deviceLine`, for devices.list. */
export function parseDeviceLine(line: string): DeviceException {
  const match = /^([cb]) (\d+|\*):(\d+|\*) ([rwm]+)$/.exec(line);
  if (match === null) throw new TandemError("internal", `devices.list: ${JSON.stringify(line)} is no rule`);
  const [, type, major = "*", minor = "*", access] = match;
  const toNumber = (text: string) => (text === "*" ? "*" : Number(text));
  return {
    type: type === "b" ? "b" : "c",
    major: toNumber(major),
    minor: toNumber(minor),
    access: accessBits(access, "devices"),
  };
}
