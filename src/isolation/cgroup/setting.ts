import { TandemError } from "../../errors.ts";

/** One value for one cgroup file, and the property of config.json that asks for it. */
export interface Setting {
  /** v1: whose hierarchy the file is in. v2: which controller must be enabled; "" for a core file. */
  readonly controller: string;
  /** The first of these that exists is written: some files have another name under another I/O scheduler. */
  readonly files: readonly string[];
  readonly data: string;
  /** "linux.resources.cpu.shares": what an error names. */
  readonly property: string;
}

const prefix = "linux.resources.";

/** A setting of one file. `property` is relative to linux.resources. */
export function setting(
  controller: string,
  file: string | readonly string[],
  data: string,
  property: string,
): Setting {
  return { controller, files: typeof file === "string" ? [file] : file, data, property: prefix + property };
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
