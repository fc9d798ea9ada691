import { TandemError } from "../../errors.ts";

/** One value for one cgroup file, and the property of config.json that asks for it. */
export interface Setting {
  /** v1: whose hierarchy the file is in. v2: which controller must be enabled; "" for a core file. */
  readonly controller: string;
  readonly file: string;
  readonly data: string;
  /** "linux.resources.cpu.shares": what an error names. */
  readonly property: string;
}

/** What a conversion may ask about the cgroup that it writes to. */
export interface CgroupFiles {
  /** Some files are there only under a certain I/O scheduler or in a newer kernel. */
  exists(controller: string, file: string): boolean;
  /** For what can only be written together with what is there. */
  read(controller: string, file: string): string;
}

const prefix = "linux.resources.";

/** A setting of one file. `property` is relative to linux.resources. */
export function setting(controller: string, file: string, data: string, property: string): Setting {
  return { controller, file, data, property: prefix + property };
}

/** @throws TandemError invalid_argument, always. */
export function refuse(property: string, reason: string): never {
  throw new TandemError("invalid_argument", `${prefix}${property}: ${reason}`);
}

/** The exact decimal digits of a JSON integer: String(2 ** 63) would round what the kernel is to read. */
export function decimal(value: number, property: string): string {
  if (!Number.isInteger(value)) refuse(property, `${String(value)} is no integer`);
  return BigInt(value).toString();
}

/** Zero and absent both mean "leave it": Go writes an unset number as 0 (runc does the same). */
export function isSet(value: number | undefined): value is number {
  return value !== undefined && value !== 0;
}

/** A name from the spec that becomes part of a file name. */
export function fileNamePart(name: string, property: string): string {
  if (!/^[\w.-]+$/.test(name) || name.startsWith("."))
    refuse(property, `${JSON.stringify(name)} is no name of a cgroup file`);
  return name;
}
