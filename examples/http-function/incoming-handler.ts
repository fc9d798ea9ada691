import {
  Fields,
  type IncomingBody,
  type IncomingRequest,
  OutgoingBody,
  OutgoingResponse,
  ResponseOutparam,
} from "wasi:http/types@0.2.10";

/** The shape of an exported `wasi:http/incoming-handler`. */
export interface IncomingHandler {
  handle(request: IncomingRequest, outparam: ResponseOutparam): Promise<void>;
}

/**
 * Makes a wasi:http handler of a function from `Request` to `Response`.
 *
 * StarlingMonkey has the same built in as its `fetch` event, but that one can be answered once in an instance's life; this keeps
 * no state, so a host is free to use an instance again.
 */
export function incomingHandlerFrom(
  answer: (request: Request) => Response | Promise<Response>,
): IncomingHandler {
  return {
    async handle(incoming, outparam) {
      const response = await answer(toRequest(incoming));
      const body = new Uint8Array(await response.arrayBuffer());
      const outgoing = new OutgoingResponse(toFields(response.headers, body.byteLength));
      outgoing.setStatusCode(response.status);
      const outgoingBody = outgoing.body();
      ResponseOutparam.set(outparam, { tag: "ok", val: outgoing });
      writeBody(outgoingBody, body);
    },
  };
}

function toRequest(incoming: IncomingRequest): Request {
  const { tag, val } = incoming.method();
  const method = (val ?? tag).toUpperCase();
  const decoder = new TextDecoder();
  const headers = incoming
    .headers()
    .entries()
    .map(([name, value]): [string, string] => [name, decoder.decode(value)]);
  const body = readBody(incoming.consume());
  const url = `http://${incoming.authority() ?? "localhost"}${incoming.pathWithQuery() ?? "/"}`;
  const withBody = method === "GET" || method === "HEAD" ? {} : { body };
  return new Request(url, { method, headers, ...withBody });
}

function readBody(body: IncomingBody): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  using stream = body.stream();
  for (;;) {
    try {
      chunks.push(stream.blockingRead(65_536n));
    } catch (error) {
      if ((error as { payload?: { tag?: string } }).payload?.tag === "closed") return concat(chunks);
      throw error;
    }
  }
}

function concat(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((size, { byteLength }) => size + byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

function writeBody(body: OutgoingBody, bytes: Uint8Array): void {
  {
    using stream = body.write(); // has to be gone before the body can be finished
    for (let offset = 0; offset < bytes.byteLength; offset += 4096) {
      stream.blockingWriteAndFlush(bytes.subarray(offset, offset + 4096));
    }
  }
  OutgoingBody.finish(body, undefined);
}

function toFields(headers: Headers, length: number): Fields {
  const encoder = new TextEncoder();
  const entries = [...headers].filter(([name]) => name !== "content-length");
  entries.push(["content-length", String(length)]);
  return Fields.fromList(entries.map(([name, value]): [string, Uint8Array] => [name, encoder.encode(value)]));
}
