import { NetworkError, type NetworkErrorCode } from "../../../network/error-code.ts";

import { err, type Result } from "../../p2/result.ts";

/** The variants `error-code` of wasi:sockets/types and wasi:sockets/ip-name-lookup 0.3. */
export interface ErrorCode {
  readonly tag: string;
  readonly val?: string | undefined;
}

/** What 0.2 has a word for and 0.3 has not. */
const nameless: ReadonlySet<NetworkErrorCode> = new Set([
  "unknown",
  "concurrency-conflict",
  "not-in-progress",
  "would-block",
  "new-socket-limit",
]);

function toErrorCode(code: NetworkErrorCode): ErrorCode {
  return nameless.has(code) ? { tag: "other", val: code } : { tag: code };
}

export function refused(code: NetworkErrorCode): Result<never, ErrorCode> {
  return err(toErrorCode(code));
}

/** The outcome with its error as 0.3 names it. */
export function named<T>(outcome: Result<T, NetworkErrorCode>): Result<T, ErrorCode> {
  return outcome.tag === "ok" ? outcome : refused(outcome.val);
}

/** Of what a transfer threw; a bug of ours is thrown on. */
export function errorCodeOf(error: unknown): ErrorCode {
  if (error instanceof NetworkError) return toErrorCode(error.code);
  throw error;
}
