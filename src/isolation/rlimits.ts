import type { SpecProcess } from "../bundle/spec.ts";
import { shown, TandemError } from "../errors.ts";
import type { StepOf } from "./steps.ts";

/** Resources in the order of asm-generic/resource.h; the index is the number. */
const resources = [
  "RLIMIT_CPU",
  "RLIMIT_FSIZE",
  "RLIMIT_DATA",
  "RLIMIT_STACK",
  "RLIMIT_CORE",
  "RLIMIT_RSS",
  "RLIMIT_NPROC",
  "RLIMIT_NOFILE",
  "RLIMIT_MEMLOCK",
  "RLIMIT_AS",
  "RLIMIT_LOCKS",
  "RLIMIT_SIGPENDING",
  "RLIMIT_MSGQUEUE",
  "RLIMIT_NICE",
  "RLIMIT_RTPRIO",
  "RLIMIT_RTTIME",
];

const LARGEST = 0xffff_ffff_ffff_ffffn;

/**
 * @throws TandemError invalid_argument for an unknown type, one given twice, or a soft limit above the hard one
 */
export function rlimitSteps(rlimits: SpecProcess["rlimits"]): StepOf<"rlimit">[] {
  const seen = new Set<string>();
  return (rlimits ?? []).map(({ type, soft, hard }, index) => {
    const at = `process.rlimits[${index}]`;
    const resource = resources.indexOf(type);
    if (resource < 0) throw new TandemError("invalid_argument", `${at}.type: unknown ${shown(type)}`);
    if (seen.has(type)) throw new TandemError("invalid_argument", `${at}.type: ${type} is given twice`);
    if (soft > hard)
      throw new TandemError(
        "invalid_argument",
        `${at}.soft, ${at}.hard: the soft ${type} is above the hard one`,
      );
    seen.add(type);
    return { op: "rlimit", property: `${at} ${type}`, resource, soft: toUint64(soft), hard: toUint64(hard) };
  });
}

/** JSON's 18446744073709551615 is the double 2^64. */
export function toUint64(value: number): bigint {
  const limit = BigInt(value);
  return limit > LARGEST ? LARGEST : limit;
}
