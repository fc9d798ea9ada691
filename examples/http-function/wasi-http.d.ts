// What the function uses of wasi:http, as the component's bindings give it to JavaScript.
declare module "wasi:http/types@0.2.10" {
  export type Method = { readonly tag: string; readonly val?: string };

  export class Fields {
    static fromList(entries: readonly (readonly [string, Uint8Array])[]): Fields;
    entries(): readonly (readonly [string, Uint8Array])[];
  }

  export class InputStream {
    /** Throws `{ payload: { tag: "closed" } }` at the end. */
    blockingRead(length: bigint): Uint8Array;
    [Symbol.dispose](): void;
  }

  export class OutputStream {
    /** Takes at most 4096 bytes. */
    blockingWriteAndFlush(contents: Uint8Array): void;
    [Symbol.dispose](): void;
  }

  export class IncomingBody {
    stream(): InputStream;
    [Symbol.dispose](): void;
  }

  export class IncomingRequest {
    method(): Method;
    pathWithQuery(): string | undefined;
    authority(): string | undefined;
    headers(): Fields;
    consume(): IncomingBody;
  }

  export class OutgoingBody {
    write(): OutputStream;
    static finish(body: OutgoingBody, trailers: Fields | undefined): void;
  }

  export class OutgoingResponse {
    constructor(headers: Fields);
    setStatusCode(status: number): void;
    body(): OutgoingBody;
  }

  export class ResponseOutparam {
    [Symbol.dispose](): void;
    static set(
      outparam: ResponseOutparam,
      response: { readonly tag: "ok"; readonly val: OutgoingResponse },
    ): void;
  }
}
