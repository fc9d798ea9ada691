import { type ClientRequest, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { err, ok, type Result } from "../wasi/p2/result.ts";
import { HttpError, type HttpErrorCode } from "./error-code.ts";
import type { OutgoingAccess } from "./outgoing-access.ts";
import { methodName, type Variant } from "./syntax.ts";

/** Where a request goes to. */
export interface Target {
  readonly secure: boolean;
  /** As the guest wrote it, in lower case; an IPv6 address without its brackets. */
  readonly hostname: string;
  readonly port: number;
  /** For the header. */
  readonly host: string;
  /** As it is sent: neither decoded nor put in another form. */
  readonly path: string;
}

/** What a request says of its target. */
interface TargetParts {
  readonly method: Variant;
  /** HTTPS when it says nothing. */
  readonly scheme: Variant | undefined;
  readonly authority: string | undefined;
  readonly pathWithQuery: string | undefined;
}

/** The one form of a target, or why there can be no such request. */
export function requestTarget(parts: TargetParts): Result<Target, HttpErrorCode> {
  const scheme = parts.scheme?.tag ?? "HTTPS";
  if (scheme !== "HTTP" && scheme !== "HTTPS") return err({ tag: "HTTP-protocol-error" });
  // What follows a CONNECT is no HTTP, and nobody here could pass it on.
  if (parts.method.tag === "connect") return err({ tag: "HTTP-request-method-invalid" });
  const url =
    parts.authority === undefined ? null : URL.parse(`${scheme.toLowerCase()}://${parts.authority}/`);
  // RFC 9110 §4.2.4: user information is not sent.
  if (url === null || url.username !== "" || url.password !== "")
    return err({ tag: "HTTP-request-URI-invalid" });
  const path = originForm(parts);
  if (path === undefined) return err({ tag: "HTTP-request-URI-invalid" });
  const secure = scheme === "HTTPS";
  return ok({
    secure,
    hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    host: url.host,
    path,
  });
}

/** RFC 9112 §3.2.1; what is not ASCII goes out as UTF-8. */
function originForm({ method, pathWithQuery: path = "" }: TargetParts): string | undefined {
  const bytes = Buffer.from(path).toString("latin1");
  if (bytes === "" || bytes.startsWith("?")) return `/${bytes}`;
  if (bytes === "*" && method.tag === "options") return bytes;
  return bytes.startsWith("/") ? bytes : undefined;
}

/** Nanoseconds, as in the resource `request-options`. */
export interface Timeouts {
  connectTimeout(): bigint | undefined;
  firstByteTimeout(): bigint | undefined;
  betweenBytesTimeout(): bigint | undefined;
}

/** What a request says of itself. */
interface Message {
  readonly method: Variant;
  readonly headers: readonly (readonly [string, string])[];
  readonly timeouts: Timeouts | undefined;
  /** Breaks the request off. */
  readonly signal?: AbortSignal;
}

/** Begins a request to a target that the access allows; the caller listens to it, and writes and ends it. */
export function openRequest(access: OutgoingAccess, target: Target, message: Message): ClientRequest {
  const { secure, hostname, port, path, host } = target;
  const request = (secure ? requestHttps : requestHttp)({
    ...access.connectionOptions(secure, port),
    host: hostname,
    port,
    path,
    method: methodName(message.method),
    headers: ["Host", host, ...message.headers.flat()],
    ...(message.signal === undefined ? {} : { signal: message.signal }),
  });
  if (message.timeouts !== undefined) setTimeouts(request, message.timeouts);
  return request;
}

function setTimeouts(message: ClientRequest, timeouts: Timeouts): void {
  const connect = milliseconds(timeouts.connectTimeout());
  const firstByte = milliseconds(timeouts.firstByteTimeout());
  const betweenBytes = milliseconds(timeouts.betweenBytesTimeout());
  const failAfter = (delay: number | undefined, tag: string): NodeJS.Timeout | undefined =>
    delay === undefined ? undefined : setTimeout(() => message.destroy(new HttpError({ tag })), delay);
  const connecting = failAfter(connect, "connection-timeout");
  const waiting = failAfter(firstByte, "HTTP-response-timeout");
  message.on("socket", (socket) => {
    if (socket.connecting) socket.once("connect", () => clearTimeout(connecting));
    else clearTimeout(connecting);
  });
  message.on("response", () => clearTimeout(waiting));
  message.on("close", () => {
    clearTimeout(connecting);
    clearTimeout(waiting);
  });
  if (betweenBytes !== undefined)
    message.setTimeout(betweenBytes, () =>
      message.destroy(new HttpError({ tag: "connection-read-timeout" })),
    );
}

function milliseconds(duration: bigint | undefined): number | undefined {
  return duration === undefined
    ? undefined
    : Math.max(1, Math.min(Number(duration / 1_000_000n), 0x7fffffff));
}
