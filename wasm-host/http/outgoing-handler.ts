import { err, ok, type Result } from "../wasi/p2/result.ts";
import { errorCodeOf, type HttpErrorCode } from "./error-code.ts";
import type { RawHeaders } from "./exchange.ts";
import { Fields } from "./fields.ts";
import { NodeIncoming } from "./node-incoming.ts";
import { NodeOutgoing } from "./node-outgoing.ts";
import type { OutgoingAccess } from "./outgoing-access.ts";
import { openRequest, requestTarget, type Target } from "./outgoing-request.ts";
import {
  FutureIncomingResponse,
  IncomingResponse,
  type OutgoingRequest,
  type RequestOptions,
} from "./types.ts";

/** wasi:http/outgoing-handler 0.2: requests to the hosts of the grant, and to no other. Without a grant there are none. */
export function createOutgoingHandler(access: OutgoingAccess | undefined): Record<string, unknown> {
  return {
    "wasi:http/outgoing-handler": {
      handle: (request: OutgoingRequest, options?: RequestOptions) => handle(request, options, access),
    },
  };
}

function handle(
  request: OutgoingRequest,
  options: RequestOptions | undefined,
  access: OutgoingAccess | undefined,
): Result<FutureIncomingResponse, HttpErrorCode> {
  const target = requestTarget({
    method: request.method(),
    scheme: request.scheme(),
    authority: request.authority(),
    pathWithQuery: request.pathWithQuery(),
  });
  if (target.tag === "err") return target;
  const { hostname, port } = target.val;
  if (access?.allows(hostname, port) !== true) return err({ tag: "HTTP-request-denied" });
  return ok(send(access, target.val, { request, options }));
}

interface Outgoing {
  readonly request: OutgoingRequest;
  readonly options: RequestOptions | undefined;
}

function send(
  access: OutgoingAccess,
  target: Target,
  { request, options }: Outgoing,
): FutureIncomingResponse {
  const future = new FutureIncomingResponse();
  const pipe = request.pipe();
  const message = openRequest(access, target, {
    method: request.method(),
    headers: [...request.fields.toRaw(), ...framing(request)],
    timeouts: options,
  });
  message.on("response", (response) => {
    const headers = Fields.fromRaw(response.rawHeaders);
    future.settle(ok(new IncomingResponse(response.statusCode ?? 0, headers, new NodeIncoming(response))));
  });
  message.on("error", (error) => future.settle(err(errorCodeOf(error))));
  message.on("close", () => future.settle(err({ tag: "connection-terminated" })));
  future.onDrop(() => message.destroy());
  const content = new NodeOutgoing(message);
  if (pipe === undefined) content.end([]);
  else pipe.attach(content);
  return future;
}

/** How the server knows where the body ends (RFC 9112 §6): Node does not say it for every method. */
function framing(request: OutgoingRequest): RawHeaders {
  if (request.fields.has("content-length")) return [];
  if (request.pipe() !== undefined) return [["Transfer-Encoding", "chunked"]];
  return ["post", "put", "patch"].includes(request.method().tag) ? [["Content-Length", "0"]] : [];
}
