import { type ClientRequest, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { err, ok, type Result } from "../wasi/p2/result.ts";
import { errorCodeOf, HttpError, type HttpErrorCode } from "./error-code.ts";
import {
  FutureIncomingResponse,
  IncomingResponse,
  type OutgoingRequest,
  type RequestOptions,
} from "./types.ts";

/**
 * wasi:http/outgoing-handler 0.2: requests to the hosts of the grant, and to no other. A pattern is `host`, `host:port`,
 * `*.suffix`, with a port if wanted, or `*`; the name is compared as the guest wrote it, before it is resolved.
 */
export function createOutgoingHandler(outboundHosts: readonly string[]): Record<string, unknown> {
  return {
    "wasi:http/outgoing-handler": {
      handle: (request: OutgoingRequest, options?: RequestOptions) => handle(request, options, outboundHosts),
    },
  };
}

function handle(
  request: OutgoingRequest,
  options: RequestOptions | undefined,
  outboundHosts: readonly string[],
): Result<FutureIncomingResponse, HttpErrorCode> {
  const scheme = request.scheme()?.tag ?? "HTTPS";
  const authority = request.authority();
  if (scheme !== "HTTP" && scheme !== "HTTPS") return err({ tag: "HTTP-protocol-error" });
  if (authority === undefined) return err({ tag: "HTTP-request-URI-invalid" });
  const url = URL.parse(`${scheme.toLowerCase()}://${authority}${request.pathWithQuery() ?? "/"}`);
  if (url === null || url.username !== "") return err({ tag: "HTTP-request-URI-invalid" });
  const port = url.port === "" ? (scheme === "HTTP" ? 80 : 443) : Number(url.port);
  if (!outboundHosts.some((pattern) => matches(pattern, url.hostname, port)))
    return err({ tag: "HTTP-request-denied" });
  return ok(send(url, request, options));
}

/** Whether an entry of the grant allows this host and port. */
export function matches(pattern: string, hostname: string, port: number): boolean {
  if (pattern === "*") return true;
  const [, host = pattern, wantedPort] = /^(.*?)(?::(\d+))?$/.exec(pattern) ?? [];
  if (wantedPort !== undefined && Number(wantedPort) !== port) return false;
  const name = hostname.toLowerCase();
  const wanted = host.toLowerCase();
  return wanted.startsWith("*.") ? name.endsWith(wanted.slice(1)) : name === wanted;
}

function send(
  url: URL,
  request: OutgoingRequest,
  options: RequestOptions | undefined,
): FutureIncomingResponse {
  const future = new FutureIncomingResponse();
  const method = request.method();
  const message = (url.protocol === "http:" ? requestHttp : requestHttps)(url, {
    method: method.tag === "other" ? (method.val ?? "") : method.tag.toUpperCase(),
    headers: ["Host", url.host, ...request.headers().toRaw().flat()],
  });
  message.on("response", (response) => {
    response.on("error", () => {}); // the body's stream tells the guest
    response.on("readable", () => {}); // paused, not flowing: the guest reads
    future.settle(ok(new IncomingResponse(response)));
  });
  message.on("error", (error) => future.settle(err(errorCodeOf(error))));
  setTimeouts(message, options);
  const pipe = request.pipe();
  if (pipe === undefined) message.end();
  else pipe.attach(message);
  return future;
}

function setTimeouts(message: ClientRequest, options: RequestOptions | undefined): void {
  const connect = milliseconds(options?.connectTimeout());
  const firstByte = milliseconds(options?.firstByteTimeout());
  const betweenBytes = milliseconds(options?.betweenBytesTimeout());
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
