import type { Instantiated } from "../../../component-code.ts";
import type { Answer } from "../../../http/answer.ts";
import type { HttpErrorCode } from "../../../http/error-code.ts";
import { err, ok, type Result } from "../../p2/result.ts";
import { Request } from "./request.ts";
import type { Response } from "./response.ts";

interface Handler {
  handle(request: Request): Promise<Response>;
}

/** By wasi:http/handler 0.3: the guest goes on with the body after it has answered. */
export function createAnswer03({ instance, trapped }: Instantiated, name: string): Answer {
  const handler = instance[name] as Handler;
  return async ({ request, response, maxBodyBytes, onError }) => {
    const answer = await resultOf(handler.handle(Request.incoming(request, maxBodyBytes)));
    if (answer.tag === "err") return onError(answer.val.tag);
    if (response.headersSent || response.destroyed) return answer.val[Symbol.dispose]();
    const sent = await Promise.race([answer.val.send(response), trapped]);
    // A client that has gone away is nobody's fault.
    if (sent.tag === "err" && sent.val.tag !== "connection-terminated") onError(sent.val.tag);
  };
}

/** The glue throws the `err` of a result as it is, and a trap as an Error. */
async function resultOf(answer: Promise<Response>): Promise<Result<Response, HttpErrorCode>> {
  try {
    return ok(await answer);
  } catch (error) {
    if (error instanceof Error) throw error;
    return err(error as HttpErrorCode);
  }
}
