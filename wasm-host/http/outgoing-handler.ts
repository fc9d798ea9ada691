import { err, ok, type Result } from "../wasi/p2/result.ts";
import { errorCodeOf, type HttpErrorCode } from "./error-code.ts";
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
  const message = openRequest(access, target, {
    method: request.method(),
    headers: request.headers().toRaw(),
    timeouts: options,
  });
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
