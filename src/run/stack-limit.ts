import { STACK_RESERVE } from "../../wasm-host/guest-stack.ts";
import { TandemError } from "../errors.ts";

type Limit = readonly [soft: bigint, hard: bigint];

/** asm-generic/resource.h */
const RLIMIT_STACK = 3;
/** The host's own functions, which run on the same stack, need about so much. */
const LEAST = 128 << 10;
/** kMostStack in native/code/code.cc */
const MOST = (64 << 20) - STACK_RESERVE;

/**
 * The caller's limits, by their numbers, with that of a process whose guest may use so much stack.
 *
 * @throws TandemError invalid_argument for less than 128 KB or more than 63 MB, failed_precondition when the caller must not raise the
 * limit that far
 */
export function withStack(limits: readonly Limit[], bytes: number | undefined): readonly Limit[] {
  if (bytes === undefined) return limits;
  const what = `option -W max-wasm-stack=${bytes}`;
  if (bytes < LEAST) throw new TandemError("invalid_argument", `${what}: ${LEAST} at least`);
  if (bytes > MOST) throw new TandemError("invalid_argument", `${what}: ${MOST} at most`);
  const soft = BigInt(bytes + STACK_RESERVE);
  return limits.map((limit, resource) => {
    if (resource !== RLIMIT_STACK) return limit;
    const [own, hard] = limit;
    if (soft > hard)
      throw new TandemError(
        "failed_precondition",
        `${what}: the caller's hard limit is ${hard}, 1 MB included`,
      );
    return [own > soft ? own : soft, hard];
  });
}
