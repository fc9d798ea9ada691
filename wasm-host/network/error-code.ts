import { constants } from "node:os";

/**
 * Why something of the network failed, in the words of wasi:sockets: those of 0.2 and of 0.3 together. `connection-broken` is 0.3's,
 * the ones about operations in progress, limits and names are 0.2's, or of 0.3's look-up.
 */
export type NetworkErrorCode =
  | "unknown"
  | "access-denied"
  | "not-supported"
  | "invalid-argument"
  | "out-of-memory"
  | "timeout"
  | "concurrency-conflict"
  | "not-in-progress"
  | "would-block"
  | "invalid-state"
  | "new-socket-limit"
  | "address-not-bindable"
  | "address-in-use"
  | "remote-unreachable"
  | "connection-refused"
  | "connection-broken"
  | "connection-reset"
  | "connection-aborted"
  | "datagram-too-large"
  | "name-unresolvable"
  | "temporary-resolver-failure"
  | "permanent-resolver-failure";

/** asm-generic/errno.h, which node:os leaves out. */
const ENONET = 64;
const EHOSTDOWN = 112;
const ESOCKTNOSUPPORT = 94;
const EPFNOSUPPORT = 96;

const { errno } = constants;

const codes = new Map<number, NetworkErrorCode>([
  [errno.EACCES, "access-denied"],
  [errno.EPERM, "access-denied"],
  [errno.EOPNOTSUPP, "not-supported"],
  [errno.ENOPROTOOPT, "not-supported"],
  [errno.EPROTONOSUPPORT, "not-supported"],
  [ESOCKTNOSUPPORT, "not-supported"],
  [EPFNOSUPPORT, "not-supported"],
  [errno.EINVAL, "invalid-argument"],
  [errno.EDESTADDRREQ, "invalid-argument"],
  [errno.EAFNOSUPPORT, "invalid-argument"],
  [errno.ENOMEM, "out-of-memory"],
  [errno.ENOBUFS, "out-of-memory"],
  [errno.ETIMEDOUT, "timeout"],
  [errno.EALREADY, "concurrency-conflict"],
  [errno.EAGAIN, "would-block"],
  [errno.EINPROGRESS, "would-block"],
  [errno.EISCONN, "invalid-state"],
  [errno.ENOTCONN, "invalid-state"],
  [errno.EMFILE, "new-socket-limit"],
  [errno.ENFILE, "new-socket-limit"],
  [errno.EADDRNOTAVAIL, "address-not-bindable"],
  [errno.EADDRINUSE, "address-in-use"],
  [errno.EHOSTUNREACH, "remote-unreachable"],
  [EHOSTDOWN, "remote-unreachable"],
  [errno.ENETUNREACH, "remote-unreachable"],
  [errno.ENETDOWN, "remote-unreachable"],
  [ENONET, "remote-unreachable"],
  [errno.ECONNREFUSED, "connection-refused"],
  [errno.EPIPE, "connection-broken"],
  [errno.ECONNRESET, "connection-reset"],
  [errno.ENETRESET, "connection-reset"],
  [errno.ECONNABORTED, "connection-aborted"],
  [errno.EMSGSIZE, "datagram-too-large"],
]);

/** @param error an errno, or minus one as native functions return it */
export function errorCodeFrom(error: number): NetworkErrorCode {
  return codes.get(Math.abs(error)) ?? "unknown";
}

/** A transfer that failed: thrown by what has no other way to say so, such as a stream's read. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
  readonly code: NetworkErrorCode;

  constructor(code: NetworkErrorCode) {
    super(code);
    this.code = code;
  }
}
