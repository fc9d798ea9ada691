import { err, ok, type Result } from "../wasi/p2/result.ts";
import { errorCodeOf, type HttpErrorCode } from "./error-code.ts";
import { openRequest, requestTarget, type Target } from "./outgoing-request.ts";
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
  const target = requestTarget({
    method: request.method(),
    scheme: request.scheme(),
    authority: request.authority(),
    pathWithQuery: request.pathWithQuery(),
  });
  if (target.tag === "err") return target;
  if (!isGranted(outboundHosts, target.val)) return err({ tag: "HTTP-request-denied" });
  return ok(send(target.val, request, options));
}

/** Whether the grant has this host and port. */
export function isGranted(outboundHosts: readonly string[], { hostname, port }: Target): boolean {
  return outboundHosts.some((pattern) => matches(pattern, hostname, port));
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
  target: Target,
  request: OutgoingRequest,
  options: RequestOptions | undefined,
): FutureIncomingResponse {
  const future = new FutureIncomingResponse();
  const message = openRequest(
    target,
    { method: request.method(), headers: request.headers().toRaw() },
    options,
  );
  message.on("response", (response) => {
    response.on("error", () => {}); // the body's stream tells the guest
    response.on("readable", () => {}); // paused, not flowing: the guest reads
    future.settle(ok(new IncomingResponse(response)));
  });
  message.on("error", (error) => future.settle(err(errorCodeOf(error))));
  const pipe = request.pipe();
  if (pipe === undefined) message.end();
  else pipe.attach(message);
  return future;
}
