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
  return async (exchange, report) => {
    const answer = await resultOf(handler.handle(Request.incoming(exchange)));
    if (answer.tag === "err") return report.onError(answer.val);
    if (exchange.begun || exchange.broken) return answer.val[Symbol.dispose]();
    const sent = await Promise.race([answer.val.send(exchange), trapped]);
    // A client that has gone away is nobody's fault.
    if (sent.tag === "err" && sent.val.tag !== "connection-terminated") report.onError(sent.val);
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
