import type { IncomingMessage, ServerResponse } from "node:http";
import type { Instantiated } from "../component-code.ts";
import { IncomingRequest, ResponseOutparam } from "./types.ts";

/** A request, and the place for its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly maxBodyBytes: number;
  /** The guest has answered with an error-code of this name: the answer is the host's to make. */
  onError(code: string): void;
}

/** Has one instance answer; resolves when the guest is done with it, and rejects when the guest trapped. */
export type Answer = (exchange: Exchange) => Promise<void>;

type Handle = (request: IncomingRequest, out: ResponseOutparam) => unknown;

/** By wasi:http/incoming-handler 0.2. */
export function createAnswer02({ instance }: Instantiated, name: string): Answer {
  const handler = instance[name] as { readonly handle: Handle };
  return async ({ request, response, maxBodyBytes, onError }) => {
    let answered = false;
    request.on("readable", () => {}); // paused, not flowing: the guest reads
    request.on("error", () => {}); // the body's stream tells the guest
    const out = new ResponseOutparam((answer) => {
      answered = true;
      if (response.headersSent || response.destroyed) return;
      if (answer.tag === "ok") answer.val.send(response);
      else onError(answer.val.tag);
    });
    await handler.handle(new IncomingRequest(request, maxBodyBytes), out);
    if (!answered) throw new Error("returned without an answer");
  };
}
