import type { IncomingMessage } from "node:http";
import type { Exchange } from "../../../http/exchange.ts";
import { NodeIncoming } from "../../../http/node-incoming.ts";
import { contentLength } from "../../../http/syntax.ts";
import { done, err, type Result } from "../../p2/result.ts";
import type { GuestStream } from "../guest-stream.ts";
import type { Body, Trailers, Transmission } from "./body.ts";
import { consumeBody } from "./consume-body.ts";
import { Fields } from "./fields.ts";
import { GuestBody } from "./guest-body.ts";
import { IncomingBody } from "./incoming-body.ts";
import { neverSent } from "./request.ts";
import { sendBody } from "./send-body.ts";

/** The resource `response` of wasi:http/types 0.3: one that the guest made, or the answer to a request of its. */
export class Response {
  readonly #headers: Fields;
  readonly #body: Body;
  #status = 200;

  private constructor(headers: Fields, body: Body) {
    this.#headers = headers;
    this.#body = body;
  }

  static new(
    headers: Fields,
    contents: GuestStream | undefined,
    trailers: PromiseLike<Trailers>,
  ): [Response, Promise<Transmission>] {
    const body = new GuestBody(contents, trailers);
    return [new Response(headers.freeze(), body), body.transmitted];
  }

  /** One that came over the network. */
  static incoming(message: IncomingMessage): Response {
    const body = new IncomingBody(new NodeIncoming(message));
    const response = new Response(Fields.fromRaw(message.rawHeaders), body);
    response.#status = message.statusCode ?? 0;
    return response;
  }

  static consumeBody(response: Response, result: PromiseLike<Transmission>): unknown {
    return consumeBody(response.#body, result);
  }

  getStatusCode(): number {
    return this.#status;
  }

  setStatusCode(status: number): Result<undefined, undefined> {
    if (status < 100 || status > 599) return err(undefined);
    this.#status = status;
    return done;
  }

  getHeaders(): Fields {
    return this.#headers;
  }

  /** Answers a request with it; resolves when all of it has been sent, or with what broke it. */
  async send(exchange: Exchange): Promise<Transmission> {
    const length = contentLength(this.#headers.get("content-length"));
    if (length.tag === "err" || this.#status < 200) return this.#refuse(exchange);
    const content = exchange.begin(this.#status, this.#headers.toRaw());
    // Of these, content-length tells what a GET would have had (RFC 9110 §8.6).
    const bodiless = exchange.head.method === "HEAD" || this.#status === 204 || this.#status === 304;
    return await sendBody(this.#body, content, {
      length: bodiless ? undefined : length.val,
      wrongLength: "HTTP-response-body-size",
    });
  }

  #refuse(exchange: Exchange): Transmission {
    const refusal: Transmission = err(
      this.#status < 200
        ? { tag: "HTTP-protocol-error" }
        : { tag: "HTTP-response-body-size", val: undefined },
    );
    this.#body.drop();
    this.#body.settle(refusal);
    exchange.fail(500);
    return refusal;
  }

  /** The guest has dropped it instead of answering with it. */
  [Symbol.dispose](): void {
    this.#body.drop();
    this.#body.settle(neverSent);
  }
}
