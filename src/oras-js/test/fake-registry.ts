import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as assert from "uvu/assert";

export type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
) => void | Promise<void>;

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
}

export interface FakeRegistry extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly address: string;
  /** Every request so far. */
  readonly seen: readonly Seen[];
}

/** A registry that does whatever the test wants, on loopback. */
export async function fakeRegistry(handler: Handler): Promise<FakeRegistry> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const { method = "", url = "", headers } = request;
    seen.push({ method, url, authorization: headers.authorization });
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => response.destroy());
    request.on("end", () => {
      Promise.resolve(handler(request, response, Buffer.concat(chunks))).catch(() => response.destroy());
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** Sends a body without end until the other side hangs up. */
export function sendForever(response: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024, "x");
  const more = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on("drain", more);
  more();
}

/** Asserts that a promise rejects with an OrasError of this code, and returns the error. */
export async function rejects(promise: Promise<unknown>, code: string): Promise<Error> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: Error & { code?: string }) => error,
  );
  if (!(outcome instanceof Error)) throw new Error(`expected ${code}, got ${JSON.stringify(outcome.value)}`);
  assert.is(outcome.name, "OrasError", outcome.stack);
  assert.is(outcome.code, code, outcome.stack);
  return outcome;
}

/** Reads a stream to its end. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Retries without waiting. */
export const impatient = { attempts: 3, baseDelayMs: 1, maxDelayMs: 5 } as const;
