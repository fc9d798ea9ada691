import type { IncomingMessage, ServerResponse } from "node:http";
import { Pollable } from "../wasi/p2/poll.ts";
import { done, err, ok, type Result } from "../wasi/p2/result.ts";
import { suspending } from "../wasi/p2/waiting.ts";
import { FutureTrailers, IncomingBody, OutgoingBody } from "./bodies.ts";
import { type HttpErrorCode, httpErrorCode } from "./error-code.ts";
import { Fields } from "./fields.ts";
import { OutgoingPipe } from "./outgoing-pipe.ts";
import {
  checkMethod,
  checkScheme,
  contentLength,
  isAuthority,
  isPathWithQuery,
  methodVariant,
  type Variant,
} from "./syntax.ts";

/** The resource `incoming-request`: one that this server received. */
export class IncomingRequest {
  readonly #message: IncomingMessage;
  readonly #bodyLimit: number;
  #consumed = false;

  constructor(message: IncomingMessage, bodyLimit: number) {
    this.#message = message;
    this.#bodyLimit = bodyLimit;
  }

  method(): Variant {
    return methodVariant(this.#message.method ?? "GET");
  }

  pathWithQuery(): string | undefined {
    return this.#message.url;
  }

  scheme(): Variant {
    return { tag: "HTTP" };
  }

  authority(): string | undefined {
    return this.#message.headers.host;
  }

  headers(): Fields {
    return Fields.fromRaw(this.#message.rawHeaders);
  }

  consume(): Result<IncomingBody, undefined> {
    if (this.#consumed) return err(undefined);
    this.#consumed = true;
    return ok(new IncomingBody(this.#message, this.#bodyLimit));
  }
}

/** The resource `outgoing-response`. */
export class OutgoingResponse {
  readonly #headers: Fields;
  #status = 200;
  #pipe: OutgoingPipe | undefined;

  constructor(headers: Fields) {
    this.#headers = headers.freeze();
  }

  statusCode(): number {
    return this.#status;
  }

  setStatusCode(status: number): Result<undefined, undefined> {
    if (status < 100 || status > 999) return err(undefined);
    this.#status = status;
    return done;
  }

  headers(): Fields {
    return this.#headers;
  }

  body(): Result<OutgoingBody, undefined> {
    const length = contentLength(this.#headers.get("content-length"));
    if (this.#pipe !== undefined || length.tag === "err") return err(undefined);
    this.#pipe = new OutgoingPipe();
    return ok(new OutgoingBody(this.#pipe, length.val));
  }

  /** Begins the answer; without a body it is the whole answer. */
  send(response: ServerResponse): void {
    response.writeHead(this.#status, this.#headers.toRaw().flat());
    if (this.#pipe === undefined) response.end();
    else this.#pipe.attach(response);
  }
}

/** The resource `response-outparam`: the place for the one answer to a request. */
export class ResponseOutparam {
  readonly #answer: (answer: Result<OutgoingResponse, HttpErrorCode>) => void;

  constructor(answer: (answer: Result<OutgoingResponse, HttpErrorCode>) => void) {
    this.#answer = answer;
  }

  static set(param: ResponseOutparam, answer: Result<OutgoingResponse, HttpErrorCode>): void {
    param.#answer(answer);
  }
}

/** The resource `outgoing-request`. */
export class OutgoingRequest {
  readonly #headers: Fields;
  #method: Variant = { tag: "get" };
  #path: string | undefined;
  #scheme: Variant | undefined;
  #authority: string | undefined;
  #pipe: OutgoingPipe | undefined;

  constructor(headers: Fields) {
    this.#headers = headers.freeze();
  }

  body(): Result<OutgoingBody, undefined> {
    const length = contentLength(this.#headers.get("content-length"));
    if (this.#pipe !== undefined || length.tag === "err") return err(undefined);
    this.#pipe = new OutgoingPipe();
    return ok(new OutgoingBody(this.#pipe, length.val));
  }

  method(): Variant {
    return this.#method;
  }

  setMethod(method: Variant): Result<undefined, undefined> {
    const checked = checkMethod(method);
    if (checked === undefined) return err(undefined);
    this.#method = checked;
    return done;
  }

  pathWithQuery(): string | undefined {
    return this.#path;
  }

  setPathWithQuery(path: string | undefined): Result<undefined, undefined> {
    if (path !== undefined && !isPathWithQuery(path)) return err(undefined);
    this.#path = path;
    return done;
  }

  scheme(): Variant | undefined {
    return this.#scheme;
  }

  setScheme(scheme: Variant | undefined): Result<undefined, undefined> {
    const checked = scheme === undefined ? undefined : checkScheme(scheme);
    if (scheme !== undefined && checked === undefined) return err(undefined);
    this.#scheme = checked;
    return done;
  }

  authority(): string | undefined {
    return this.#authority;
  }

  setAuthority(authority: string | undefined): Result<undefined, undefined> {
    if (authority !== undefined && !isAuthority(authority)) return err(undefined);
    this.#authority = authority;
    return done;
  }

  headers(): Fields {
    return this.#headers;
  }

  /** The body's pipe, when the guest took the body. */
  pipe(): OutgoingPipe | undefined {
    return this.#pipe;
  }
}

/** The resource `request-options`: durations in nanoseconds. */
export class RequestOptions {
  #connect: bigint | undefined;
  #firstByte: bigint | undefined;
  #betweenBytes: bigint | undefined;

  connectTimeout(): bigint | undefined {
    return this.#connect;
  }

  setConnectTimeout(duration: bigint | undefined): Result<undefined, undefined> {
    this.#connect = duration;
    return done;
  }

  firstByteTimeout(): bigint | undefined {
    return this.#firstByte;
  }

  setFirstByteTimeout(duration: bigint | undefined): Result<undefined, undefined> {
    this.#firstByte = duration;
    return done;
  }

  betweenBytesTimeout(): bigint | undefined {
    return this.#betweenBytes;
  }

  setBetweenBytesTimeout(duration: bigint | undefined): Result<undefined, undefined> {
    this.#betweenBytes = duration;
    return done;
  }
}

/** The resource `incoming-response`. */
export class IncomingResponse {
  readonly #message: IncomingMessage;
  #consumed = false;

  constructor(message: IncomingMessage) {
    this.#message = message;
  }

  status(): number {
    return this.#message.statusCode ?? 0;
  }

  headers(): Fields {
    return Fields.fromRaw(this.#message.rawHeaders);
  }

  consume(): Result<IncomingBody, undefined> {
    if (this.#consumed) return err(undefined);
    this.#consumed = true;
    return ok(new IncomingBody(this.#message, Number.POSITIVE_INFINITY));
  }
}

/** The resource `future-incoming-response`. */
export class FutureIncomingResponse {
  #outcome: Result<IncomingResponse, HttpErrorCode> | undefined;
  #taken = false;
  readonly #wakes = new Set<() => void>();

  settle(outcome: Result<IncomingResponse, HttpErrorCode>): void {
    this.#outcome ??= outcome;
    for (const wake of [...this.#wakes]) wake();
  }

  subscribe(): Pollable {
    const watch = (wake: () => void): (() => void) => {
      this.#wakes.add(wake);
      return () => this.#wakes.delete(wake);
    };
    return new Pollable({ ready: () => this.#outcome !== undefined, watch }, suspending);
  }

  get(): Result<Result<IncomingResponse, HttpErrorCode>, undefined> | undefined {
    if (this.#outcome === undefined) return undefined;
    if (this.#taken) return err(undefined);
    this.#taken = true;
    return ok(this.#outcome);
  }
}

/** wasi:http/types 0.2 */
export const httpTypes: Readonly<Record<string, unknown>> = {
  Fields,
  FutureIncomingResponse,
  FutureTrailers,
  IncomingBody,
  IncomingRequest,
  IncomingResponse,
  OutgoingBody,
  OutgoingRequest,
  OutgoingResponse,
  RequestOptions,
  ResponseOutparam,
  httpErrorCode,
};
