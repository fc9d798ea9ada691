import type { IoError } from "../wasi/p2/streams.ts";

/** The variant `error-code` of wasi:http/types 0.2. */
export interface HttpErrorCode {
  readonly tag: string;
  readonly val?: unknown;
}

/** An error of a body's stream that `http-error-code` can name. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly errorCode: HttpErrorCode;

  constructor(errorCode: HttpErrorCode, options?: ErrorOptions) {
    super(errorCode.tag, options);
    this.errorCode = errorCode;
  }
}

/** wasi:http/types#http-error-code: undefined for the error of a stream that has nothing to do with HTTP. */
export function httpErrorCode(error: IoError): HttpErrorCode | undefined {
  return error.cause instanceof HttpError ? error.cause.errorCode : undefined;
}

/** What a failed request of Node's client is called in wasi:http. */
export function errorCodeOf(error: unknown): HttpErrorCode {
  if (error instanceof HttpError) return error.errorCode;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  switch (code) {
    case "ECONNREFUSED":
      return { tag: "connection-refused" };
    case "ECONNRESET":
    case "EPIPE":
      return { tag: "connection-terminated" };
    case "ETIMEDOUT":
      return { tag: "connection-timeout" };
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return { tag: "DNS-error", val: { rcode: code, infoCode: 0 } };
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return { tag: "destination-unavailable" };
  }
  if (code.startsWith("HPE_")) return { tag: "HTTP-protocol-error" };
  if (/^(ERR_TLS|CERT_|SELF_SIGNED|UNABLE_TO_|DEPTH_ZERO)/.test(code))
    return { tag: "TLS-certificate-error" };
  return { tag: "internal-error", val: error instanceof Error ? error.message : String(error) };
}
