import type { Exchange } from "../../../http/exchange.ts";
import {
  checkMethod,
  checkScheme,
  isAuthority,
  isPathWithQuery,
  methodVariant,
  type Variant,
} from "../../../http/syntax.ts";
import { done, err, type Result } from "../../p2/result.ts";
import type { GuestStream } from "../guest-stream.ts";
import type { Body, Trailers, Transmission } from "./body.ts";
import { consumeBody } from "./consume-body.ts";
import { Fields } from "./fields.ts";
import { GuestBody } from "./guest-body.ts";
import { IncomingBody } from "./incoming-body.ts";
import type { RequestOptions } from "./request-options.ts";

type Setting = Result<undefined, undefined>;

/** Why a message that its maker asks about was never sent. */
export const neverSent: Transmission = err({ tag: "internal-error", val: "the message was not sent" });

/** The resource `request` of wasi:http/types 0.3: one that the guest made, or one that this server received. */
export class Request {
  readonly headers: Fields;
  readonly body: Body;
  readonly options: RequestOptions | undefined;
  #method: Variant = { tag: "get" };
  #path: string | undefined;
  #scheme: Variant | undefined;
  #authority: string | undefined;

  private constructor(headers: Fields, body: Body, options: RequestOptions | undefined) {
    this.headers = headers;
    this.body = body;
    this.options = options;
  }

  static new(
    headers: Fields,
    contents: GuestStream | undefined,
    trailers: PromiseLike<Trailers>,
    options: RequestOptions | undefined,
  ): [Request, Promise<Transmission>] {
    const body = new GuestBody(contents, trailers);
    return [new Request(headers.freeze(), body, options?.freeze()), body.transmitted];
  }

  /** One that came over the network. */
  static incoming({ head, content }: Exchange): Request {
    const request = new Request(Fields.fromRaw(head.rawHeaders()), new IncomingBody(content), undefined);
    request.#method = methodVariant(head.method);
    request.#scheme = { tag: "HTTP" };
    request.#path = head.path;
    request.#authority = head.authority;
    return request;
  }

  static consumeBody(request: Request, result: PromiseLike<Transmission>): unknown {
    return consumeBody(request.body, result);
  }

  getMethod(): Variant {
    return this.#method;
  }

  setMethod(method: Variant): Setting {
    const checked = checkMethod(method);
    if (checked === undefined) return err(undefined);
    this.#method = checked;
    return done;
  }

  getPathWithQuery(): string | undefined {
    return this.#path;
  }

  /** An empty path is `/`. */
  setPathWithQuery(path: string | undefined): Setting {
    if (path !== undefined && !isPathWithQuery(path)) return err(undefined);
    this.#path = path === "" ? "/" : path;
    return done;
  }

  getScheme(): Variant | undefined {
    return this.#scheme;
  }

  setScheme(scheme: Variant | undefined): Setting {
    const checked = scheme === undefined ? undefined : checkScheme(scheme);
    if (scheme !== undefined && checked === undefined) return err(undefined);
    this.#scheme = checked;
    return done;
  }

  getAuthority(): string | undefined {
    return this.#authority;
  }

  setAuthority(authority: string | undefined): Setting {
    if (authority !== undefined && !isAuthority(authority)) return err(undefined);
    this.#authority = authority;
    return done;
  }

  getOptions(): RequestOptions | undefined {
    return this.options;
  }

  getHeaders(): Fields {
    return this.headers;
  }

  /** The guest has dropped it instead of sending it. */
  [Symbol.dispose](): void {
    this.body.drop();
    this.body.settle(neverSent);
  }
}
