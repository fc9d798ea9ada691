import type { ClientRequest } from "node:http";
import { errorCodeOf, type HttpErrorCode } from "../../../http/error-code.ts";
import type { RawHeaders } from "../../../http/exchange.ts";
import { NodeOutgoing } from "../../../http/node-outgoing.ts";
import type { OutgoingAccess } from "../../../http/outgoing-access.ts";
import { openRequest, requestTarget, type Target } from "../../../http/outgoing-request.ts";
import { contentLength } from "../../../http/syntax.ts";
import { err, ok, type Result } from "../../p2/result.ts";
import { onCancel } from "../host-call.ts";
import type { Body } from "./body.ts";
import type { Request } from "./request.ts";
import { Response } from "./response.ts";
import { sendBody } from "./send-body.ts";

type Answer = Result<Response, HttpErrorCode>;

/** wasi:http/client 0.3: requests to the hosts of the grant, and to no other. Without a grant there are none. */
export function createClient(access: OutgoingAccess | undefined): Record<string, unknown> {
  return { "wasi:http/client@0.3": { send: (request: Request) => send(request, access) } };
}

async function send(request: Request, access: OutgoingAccess | undefined): Promise<Answer> {
  const cancelled = new AbortController();
  onCancel(() => cancelled.abort());
  const target = requestTarget({
    method: request.getMethod(),
    scheme: request.getScheme(),
    authority: request.getAuthority(),
    pathWithQuery: request.getPathWithQuery(),
  });
  if (target.tag === "err") return refuse(request, target.val);
  const { hostname, port } = target.val;
  if (access?.allows(hostname, port) !== true) return refuse(request, { tag: "HTTP-request-denied" });
  const length = contentLength(request.headers.get("content-length"));
  if (length.tag === "err") return refuse(request, { tag: "HTTP-request-body-size", val: undefined });
  return await transmit(access, target.val, { request, length: length.val, signal: cancelled.signal });
}

/** The guest learns it from the answer, and from the future that `new` gave it. */
function refuse({ body }: Request, code: HttpErrorCode): Answer {
  body.drop();
  body.settle(err(code));
  return err(code);
}

interface Outgoing {
  readonly request: Request;
  /** Of the body, if it is known. */
  readonly length: number | undefined;
  /** Breaks the request off. */
  readonly signal: AbortSignal;
}

async function transmit(
  access: OutgoingAccess,
  target: Target,
  { request, length, signal }: Outgoing,
): Promise<Answer> {
  const headers = [...request.headers.toRaw(), ...(length === undefined ? await framing(request) : [])];
  const { options: timeouts } = request;
  const message = openRequest(access, target, { method: request.getMethod(), headers, timeouts, signal });
  const answer = responseTo(message);
  void sendBody(request.body, new NodeOutgoing(message), { length, wrongLength: "HTTP-request-body-size" });
  return await answer;
}

/**
 * How the server knows where the body ends (RFC 9112 §6): Node does not say it for every method. Only chunks have room for trailers
 * after them.
 */
async function framing(request: Request): Promise<RawHeaders> {
  const bare = request.body.empty && (await hasNoTrailers(request.body));
  if (!bare) return [["Transfer-Encoding", "chunked"]];
  return ["post", "put", "patch"].includes(request.getMethod().tag) ? [["Content-Length", "0"]] : [];
}

async function hasNoTrailers(body: Body): Promise<boolean> {
  const trailers = await body.trailers();
  return trailers.tag === "ok" && trailers.val === undefined;
}

function responseTo(message: ClientRequest): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  message.on("response", (response) => resolve(ok(Response.incoming(response))));
  message.on("error", (error) => resolve(err(errorCodeOf(error))));
  message.on("close", () => resolve(err({ tag: "connection-terminated" })));
  return promise;
}
