/** The closed set of error codes. A caller switches on these; the message is for people. */
export const orasErrorCodes = [
  "invalid_argument", // a descriptor, option or pack input that cannot be honoured
  "invalid_reference", // not `host[:port]/repo[:tag][@digest]`
  "insecure", // plain http, or a redirect to it, that nobody asked for
  "unauthorized", // 401 after the challenge was answered, or a challenge that cannot be answered
  "denied", // 403
  "not_found", // 404
  "rejected", // another 4xx: the registry understood and refused
  "too_many_requests", // 429 after the last attempt
  "unavailable", // 5xx, connection refused, reset or cut short after the last attempt
  "timeout", // no byte for longer than the idle limit, or the deadline of a small exchange passed
  "aborted", // the caller's AbortSignal
  "digest_mismatch", // content that does not hash to what was asked for
  "size_mismatch", // content longer or shorter than its descriptor says
  "media_type_mismatch", // a manifest served or written under another media type than its own
  "too_large", // over one of our bounds: manifest, token, error or tag page
  "protocol", // an answer that the distribution spec does not allow
] as const;

export type OrasErrorCode = (typeof orasErrorCodes)[number];

export interface OrasErrorOptions extends ErrorOptions {
  /** HTTP status that caused it. */
  readonly status?: number;
  /** What the registry's `Retry-After` asked for. */
  readonly retryAfterMs?: number;
}

/** The one error class of this package. Messages are lower-case and carry the reference, digest or url they are about. */
export class OrasError extends Error {
  override readonly name = "OrasError";
  readonly code: OrasErrorCode;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: OrasErrorCode, message: string, options: OrasErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether another attempt can help: the connection or the server failed, not the request. */
export function isRetryable(thrown: unknown): boolean {
  return (
    thrown instanceof OrasError && (thrown.code === "unavailable" || thrown.code === "too_many_requests")
  );
}
