/**
 * The closed set of error codes. They are gRPC's names, because that is the edge at which every error of the shim leaves it
 * (ttrpc status, see shim-protocol §2.3); `toStatus` in `task/service.ts` is the only place that turns one into a number.
 */
export const errorCodes = [
  "invalid_argument", // the caller's request, spec or options cannot be honoured as written
  "not_found", // no such container, exec, image, file named by the request
  "already_exists",
  "permission_denied",
  "resource_exhausted", // a limit of ours or of the kernel: ENOSPC, EMFILE, EDQUOT
  "failed_precondition", // valid request, wrong state
  "unimplemented", // a limit we know of, named in docs/
  "unavailable", // the peer is gone: containerd, the zygote, the resolver
  "deadline_exceeded",
  "internal", // a bug of ours or an unexpected kernel error
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/**
 * The one error class. Messages are lower-case, without a full stop, and carry the id or path they are about.
 *
 * @example throw new TandemError("not_found", `container ${id}: not found`)
 */
export class TandemError extends Error {
  override readonly name = "TandemError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(onOneLine(message), options);
    this.code = code;
  }

  /** Converts anything thrown. A system error keeps its errno name in the message and gets the code that fits it. */
  static from(thrown: unknown, context?: string): TandemError {
    const prefix = context === undefined ? "" : `${context}: `;
    if (thrown instanceof TandemError) {
      return context === undefined
        ? thrown
        : new TandemError(thrown.code, prefix + thrown.message, { cause: thrown });
    }
    if (thrown instanceof Error) {
      const errno = (thrown as NodeJS.ErrnoException).code;
      return new TandemError(codeFromErrno(errno), prefix + thrown.message, { cause: thrown });
    }
    return new TandemError("internal", prefix + String(thrown));
  }
}

function codeFromErrno(errno: string | undefined): ErrorCode {
  switch (errno) {
    case "ECANCELED": // container-init's word for a hook that failed
      return "failed_precondition";
    case "ENOENT":
    case "ESRCH":
      return "not_found";
    case "EEXIST":
      return "already_exists";
    case "EACCES":
    case "EPERM":
      return "permission_denied";
    case "ENOSPC":
    case "EDQUOT":
    case "EMFILE":
    case "ENFILE":
    case "ENOMEM":
    case "EAGAIN":
      return "resource_exhausted";
    case "EINVAL":
    case "EDOM":
    case "ERANGE":
    case "E2BIG":
    case "ENODEV":
    case "EISDIR":
    case "ENOTDIR":
    case "ELOOP":
    case "ENAMETOOLONG":
      return "invalid_argument";
    case "ECONNREFUSED":
    case "ECONNRESET":
    case "EPIPE":
      return "unavailable";
    case "ETIMEDOUT":
      return "deadline_exceeded";
    case "ENOSYS":
    case "EOPNOTSUPP":
      return "unimplemented";
    default:
      return "internal";
  }
}

const LONGEST_MESSAGE = 4096;

/**
 * A path or a value of a request can be megabytes; its beginning says what it is, and the reason comes last. And it can have
 * anything in it: a log is read line by line, and shown on terminals.
 */
function onOneLine(message: string): string {
  const short =
    message.length <= LONGEST_MESSAGE
      ? message
      : `${message.slice(0, LONGEST_MESSAGE / 2)} … ${message.slice(-LONGEST_MESSAGE / 4)}`;
  return short.replace(/\p{Cc}/gu, (control) => JSON.stringify(control).slice(1, -1));
}

/** A value of a request as a message shows it: quoted when it would not read as one word on one line, and never long. */
export function shown(value: string): string {
  const short = value.length > 200 ? `${value.slice(0, 200)}…` : value;
  return /^[!-~\u00a1-\u1fff\u2026\u3040-\ud7ff]+$/.test(short) ? short : JSON.stringify(short);
}
