import type { HttpErrorCode } from "./error-code.ts";
import type { Exchange } from "./exchange.ts";
import { IncomingRequest, ResponseOutparam } from "./types.ts";

/** What whoever asks for an answer has to say about it, and wants to be told. */
export interface AnswerReport {
  /** By when it must have been given, in milliseconds of `performance.now`. */
  readonly deadline: number;
  /** The guest has answered with an error-code: the answer is the host's to make. */
  onError(code: HttpErrorCode): void;
}

/** Has one instance answer; resolves when the guest is done with it, and rejects when the guest trapped. */
export type Answer = (exchange: Exchange, report: AnswerReport) => Promise<void>;

/** `handle` of wasi:http/incoming-handler 0.2. */
export type Handle02 = (request: IncomingRequest, out: ResponseOutparam) => unknown;

/** @throws, after the guest has returned, when it has not answered, or with what cannot be an answer */
export function createAnswer02(handle: Handle02): Answer {
  return async (exchange, report) => {
    let answered = false;
    let problem: string | undefined;
    const out = new ResponseOutparam({
      inform: (status, headers) => exchange.inform(status, headers.toRaw()),
      set: (answer) => {
        answered = true;
        if (exchange.begun || exchange.broken) return;
        if (answer.tag === "err") return report.onError(answer.val);
        problem = answer.val.problem;
        if (problem === undefined) answer.val.send(exchange);
      },
    });
    await handle(new IncomingRequest(exchange), out);
    if (problem !== undefined) throw new Error(`answered with ${problem}`);
    if (!answered) throw new Error("returned without an answer");
  };
}
