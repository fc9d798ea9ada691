import { Pollable } from "../wasi/p2/poll.ts";
import { done, err, ok, type Result } from "../wasi/p2/result.ts";
import { suspending } from "../wasi/p2/waiting.ts";
import { FutureTrailers, IncomingBody, OutgoingBody } from "./bodies.ts";
import type { IncomingContent } from "./content.ts";
import { type HttpErrorCode, httpErrorCode } from "./error-code.ts";
import type { Exchange } from "./exchange.ts";
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
  readonly #exchange: Exchange;
  #consumed = false;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  method(): Variant {
    return methodVariant(this.#exchange.head.method);
  }

  pathWithQuery(): string | undefined {
    return this.#exchange.head.path;
  }

  scheme(): Variant {
    return { tag: "HTTP" };
  }

  authority(): string | undefined {
    return this.#exchange.head.authority;
  }

  headers(): Fields {
    return Fields.fromRaw(this.#exchange.head.rawHeaders());
  }

  consume(): Result<IncomingBody, undefined> {
    if (this.#consumed) return err(undefined);
    this.#consumed = true;
    return ok(new IncomingBody(this.#exchange.content));
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
    return this.#headers.view();
  }

  body(): Result<OutgoingBody, undefined> {
    const length = contentLength(this.#headers.get("content-length"));
    if (this.#pipe !== undefined || length.tag === "err") return err(undefined);
    this.#pipe = new OutgoingPipe({ length: length.val, wrongLength: "HTTP-response-body-size" });
    return ok(new OutgoingBody(this.#pipe));
  }

  /** Why it cannot be an answer; undefined when it can. */
  get problem(): string | undefined {
    // Those that are no answer yet have a function of their own, and nobody here goes on with another protocol.
    if (this.#status < 200) return `status ${this.#status}, which is no final answer`;
    if (contentLength(this.#headers.get("content-length")).tag === "err")
      return "more than one content-length";
    return undefined;
  }

  /** Begins the answer; without a body it is the whole answer. */
  send(exchange: Exchange): void {
    const content = exchange.begin(this.#status, this.#headers.toRaw());
    if (this.#pipe === undefined) content.end([]);
    else this.#pipe.attach(content);
  }
}

/** Who is told what a guest does with its response-outparam. */
export interface Answering {
  /** An informational answer. */
  inform(status: number, headers: Fields): void;
  /** The answer. */
  set(answer: Result<OutgoingResponse, HttpErrorCode>): void;
}

/** The resource `response-outparam`: the place for the one answer to a request. */
export class ResponseOutparam {
  readonly #answering: Answering;

  constructor(answering: Answering) {
    this.#answering = answering;
  }

  /** Unstable in 0.2. 101 would be the last word in this protocol. */
  sendInformational(status: number, headers: Fields): Result<undefined, HttpErrorCode> {
    if (status < 100 || status > 199 || status === 101) return err({ tag: "HTTP-protocol-error" });
    this.#answering.inform(status, headers);
    return done;
  }

  static set(param: ResponseOutparam, answer: Result<OutgoingResponse, HttpErrorCode>): void {
    param.#answering.set(answer);
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
    this.#pipe = new OutgoingPipe({ length: length.val, wrongLength: "HTTP-request-body-size" });
    return ok(new OutgoingBody(this.#pipe));
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
    return this.#headers.view();
  }

  /** For whoever sends it. */
  get fields(): Fields {
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
  readonly #status: number;
  readonly #headers: Fields;
  readonly #content: IncomingContent;
  #consumed = false;

  constructor(status: number, headers: Fields, content: IncomingContent) {
    this.#status = status;
    this.#headers = headers;
    this.#content = content;
  }

  status(): number {
    return this.#status;
  }

  headers(): Fields {
    return this.#headers.view();
  }

  consume(): Result<IncomingBody, undefined> {
    if (this.#consumed) return err(undefined);
    this.#consumed = true;
    return ok(new IncomingBody(this.#content));
  }

  /** Nobody wants what is still to come. */
  [Symbol.dispose](): void {
    if (!this.#consumed) this.#content.drop();
  }
}

/** The resource `future-incoming-response`. */
export class FutureIncomingResponse {
  #onDrop: (() => void) | undefined;
  #outcome: Result<IncomingResponse, HttpErrorCode> | undefined;
  #taken = false;
  readonly #wakes = new Set<() => void>();

  settle(outcome: Result<IncomingResponse, HttpErrorCode>): void {
    this.#outcome ??= outcome;
    for (const wake of [...this.#wakes]) wake();
  }

  /** Called when the guest gives the response up before it has taken it. */
  onDrop(listener: () => void): void {
    this.#onDrop = listener;
  }

  [Symbol.dispose](): void {
    if (!this.#taken) this.#onDrop?.();
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
