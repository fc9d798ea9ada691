import { setFlagsFromString } from "node:v8";
import { TandemError } from "../src/errors.ts";
import { findNativeCode } from "../src/native-code.ts";

/** What the host leaves alone of a stack: V8's own functions look at no limit, and something is on it already. */
export const STACK_RESERVE = 1 << 20;

/**
 * Bytes of the call stack that each thread of this process's guest gets: what was asked for, else what RLIMIT_STACK allows. undefined
 * where V8's own limit has to do, because there is no addon for it.
 * @throws TandemError failed_precondition when more was asked for than can be
 */
export function guestStackBytes(wanted: number | undefined): number | undefined {
  const most = findNativeCode()?.stackSize();
  if (wanted === undefined) return most;
  if (most === undefined || wanted > most)
    throw new TandemError(
      "failed_precondition",
      `call stack of ${wanted} bytes: ${most === undefined ? "the engine cannot be told" : `RLIMIT_STACK leaves ${most}`}`,
    );
  return wanted;
}

/** From here on the guest may go so deep on this thread, and on the stacks that V8 makes for calls that suspend (JSPI). */
export function useGuestStack(bytes: number | undefined): void {
  if (bytes === undefined) return;
  findNativeCode()?.useStack(bytes);
  // Stacks for JSPI have the lesser of the two. This thread's own limit is set already, and a worker's is set by Node.
  for (const flag of ["stack-size", "wasm-stack-switching-stack-size"])
    setFlagsFromString(`--${flag}=${Math.ceil(bytes / 1024)}`);
}

/** V8's own, in KiB. It keeps 4 MiB of them for the next call; one that is larger than that is mapped anew for each. */
const kept = 984;

/** Of a guest that is called again and again, as one that is served: its stacks for JSPI are no larger than V8 keeps. */
export function useKeptStacks(): void {
  setFlagsFromString(`--wasm-stack-switching-stack-size=${kept}`);
}
