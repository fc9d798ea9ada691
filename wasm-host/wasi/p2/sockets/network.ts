import type { Endpoint } from "../../../network/address.ts";
import { NetworkError, type NetworkErrorCode } from "../../../network/error-code.ts";
import { type WitSocketAddress, witFromEndpoint } from "../../../network/wit-address.ts";
import { err, ok, type Result } from "../result.ts";
import type { IoError } from "../streams.ts";

/** The resource `network` of wasi:sockets/network 0.2: an authority, not an object with methods. The grant is what it stands for. */
export class Network {}

/** The enum `error-code` of 0.2 lacks what 0.3 added. */
export type ErrorCode = Exclude<NetworkErrorCode, "connection-broken">;

export type Outcome<T> = Result<T, ErrorCode>;

export function toErrorCode(code: NetworkErrorCode): ErrorCode {
  return code === "connection-broken" ? "unknown" : code;
}

/** wasi:sockets/network#network-error-code: what a stream's error was about, if it was the network. */
export function networkErrorCode(error: IoError): ErrorCode | undefined {
  return error.cause instanceof NetworkError ? toErrorCode(error.cause.code) : undefined;
}

/** What the core says, in 0.2's words. */
export function toOutcome<T>(result: Result<T, NetworkErrorCode>): Outcome<T> {
  return result.tag === "ok" ? result : err(toErrorCode(result.val));
}

export function toAddress(result: Result<Endpoint, NetworkErrorCode>): Outcome<WitSocketAddress> {
  return result.tag === "ok" ? ok(witFromEndpoint(result.val)) : err(toErrorCode(result.val));
}
