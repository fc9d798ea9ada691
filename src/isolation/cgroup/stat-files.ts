import { readdirSync } from "node:fs";
import { isGone, readIfThere } from "./processes.ts";

/** What v2 writes as "max": the largest uint64. */
export const unlimited = 2n ** 64n - 1n;

/** One number of a file; 0 where the file is missing, because the kernel lacks the option. */
export function readNumber(path: string): bigint {
  const text = readIfThere(path).trim();
  if (text === "max") return unlimited;
  return /^\d+$/.test(text) ? BigInt(text) : 0n;
}

/** "key value" lines; a key that is missing counts 0. */
export function readKeyed(path: string): (key: string) => bigint {
  const values = readAll(path);
  return (key) => values.get(key) ?? 0n;
}

/** The same, every key of the file; those whose value is no number are left out. */
export function readAll(path: string): ReadonlyMap<string, bigint> {
  const values = new Map<string, bigint>();
  for (const line of readIfThere(path).split("\n")) {
    const match = /^(\S+) (\d+)$/.exec(line);
    if (match !== null) values.set(match[1] ?? "", BigInt(match[2] ?? 0));
  }
  return values;
}

/** "name key=value key=value" lines, as in io.stat and rdma.current. */
export function readNested(path: string): { name: string; value: (key: string) => bigint }[] {
  const lines = readIfThere(path).split("\n").filter(Boolean);
  return lines.map((line) => {
    const [name = "", ...pairs] = line.split(" ");
    const values = new Map(
      pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    );
    return {
      name,
      value: (key) => {
        const text = values.get(key) ?? "";
        if (text === "max") return unlimited;
        return /^\d+$/.test(text) ? BigInt(text) : 0n;
      },
    };
  });
}

/** Page sizes that a hugetlb directory has files for: "2MB". */
export function hugePageSizes(directory: string, suffix: string): string[] {
  try {
    return readdirSync(directory).flatMap((name) => {
      const match = /^hugetlb\.([^.]+)\.(.+)$/.exec(name);
      return match?.[1] !== undefined && match[2] === suffix ? [match[1]] : [];
    });
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** rdma.current and rdma.max, the same in v1 and v2. */
export function readRdma(path: string): { device: string; hcaHandles: number; hcaObjects: number }[] {
  const most = 2n ** 32n - 1n;
  const clamp = (value: bigint) => Number(value > most ? most : value);
  return readNested(path).map(({ name, value }) => ({
    device: name,
    hcaHandles: clamp(value("hca_handle")),
    hcaObjects: clamp(value("hca_object")),
  }));
}

/** How long processes waited for a resource (PSI): shares of the time in percent, and microseconds. */
export interface Pressure {
  avg10: number;
  avg60: number;
  avg300: number;
  total: bigint;
}

/** "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"; nothing where the kernel does not measure pressure. */
export function readPressure(path: string): { psi?: { some?: Pressure; full?: Pressure } } {
  const psi: { some?: Pressure; full?: Pressure } = {};
  for (const line of readIfThere(path).split("\n")) {
    const match = /^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) total=(\d+)/.exec(line);
    if (match === null) continue;
    const [, kind, avg10, avg60, avg300, total = "0"] = match;
    psi[kind === "some" ? "some" : "full"] = {
      avg10: Number(avg10),
      avg60: Number(avg60),
      avg300: Number(avg300),
      total: BigInt(total),
    };
  }
  return Object.keys(psi).length === 0 ? {} : { psi };
}
