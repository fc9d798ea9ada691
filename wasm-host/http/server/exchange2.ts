import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Source } from "../../wasi/p2/waiting.ts";
import type { OutgoingContent } from "../content.ts";
import { HttpError } from "../error-code.ts";
import type { Exchange, RawHeaders } from "../exchange.ts";
import { isAuthority } from "../syntax.ts";
import { Content2 } from "./content2.ts";
import type { RequestHead } from "./request-head.ts";
import type { ServerCore } from "./server-core.ts";
import { Wakes } from "./wakes.ts";

/** RFC 9113 §7 */
const NO_ERROR = 0;
const INTERNAL_ERROR = 2;
const CANCEL = 8;

/** One write is at most this. */
const largestWrite = 65_536;

export interface Stream {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly peer: string;
}

/** A request of HTTP/2 and its answer. */
export class Exchange2 implements Exchange, OutgoingContent {
  readonly head: RequestHead;
  readonly content: Content2;
  readonly source: Source;
  readonly finished: Source;
  readonly #stream: ServerHttp2Stream;
  readonly #core: ServerCore;
  readonly #peer: string;
  readonly #startedAt: number;
  #status = 0;
  #bodiless = false;
  #announced: number | undefined;
  #written = 0;
  #state: "waiting" | "begun" | "ended" | "gone" = "waiting";
  #failure: HttpError | undefined;
  readonly #wakes = new Wakes();

  private constructor(core: ServerCore, head: RequestHead, { stream, peer }: Stream) {
    this.head = head;
    this.#core = core;
    this.#peer = peer;
    this.#startedAt = performance.now();
    this.#stream = stream;
    this.content = new Content2(stream, core.limits.maxBodyBytes);
    stream.on("drain", () => this.#wakes.wake());
    stream.on("close", () => this.#onClose());
    stream.setTimeout(core.limits.ioTimeoutMs, () => this.#onTimeout());
    const watch = (wake: () => void): (() => void) => this.#wakes.add(wake);
    this.source = { ready: () => this.#state !== "begun" || !stream.writableNeedDrain, watch };
    this.finished = { ready: () => this.#state === "gone" || stream.writableFinished, watch };
    stream.once("finish", () => this.#wakes.wake());
  }

  /** Has a request served, or refuses it. */
  static begin(core: ServerCore, parts: Stream): void {
    const { headers, stream } = parts;
    const head = headOf(parts);
    const exchange = new Exchange2(core, head ?? unreadable, parts);
    if (head === undefined) {
      exchange.fail(400);
      return;
    }
    if (head.method === "CONNECT") {
      exchange.fail(501);
      return;
    }
    if (Number(headers["content-length"] ?? 0) > core.limits.maxBodyBytes) {
      exchange.fail(413);
      return;
    }
    if (headers.expect === "100-continue") stream.additionalHeaders({ ":status": 100 });
    core.serve(exchange);
  }

  get begun(): boolean {
    return this.#state !== "waiting";
  }

  get ended(): boolean {
    return this.#state === "ended";
  }

  get broken(): boolean {
    return this.#state === "gone";
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  inform(status: number, headers: RawHeaders): void {
    // 101 has no place in HTTP/2 (RFC 9113 §8.6).
    if (this.#state === "waiting" && status !== 101 && !this.#stream.destroyed)
      this.#stream.additionalHeaders({ ...fieldsOf(headers), ":status": status });
  }

  begin(status: number, headers: RawHeaders): OutgoingContent {
    if (this.#state !== "waiting" || this.#stream.destroyed) return this;
    this.#state = "begun";
    this.#status = status;
    this.#bodiless = this.head.method === "HEAD" || status === 204 || status === 304;
    const fields = fieldsOf(headers);
    const announced = fields["content-length"];
    this.#announced = typeof announced === "string" ? Number(announced) : undefined;
    this.#stream.respond(
      { ...fields, ":status": status },
      { endStream: this.#bodiless, waitForTrailers: !this.#bodiless },
    );
    return this;
  }

  fail(status: number): void {
    if (this.#state === "begun") {
      this.abort();
      return;
    }
    if (this.#state !== "waiting") return;
    this.begin(status, []);
    this.end([]);
    this.release();
  }

  /** A client that still sends is told that nobody wants it (RFC 9113 §8.1). */
  release(): void {
    if (this.content.settled || this.#state === "gone") return;
    this.content.discard();
    if (this.#state === "ended" && !this.#stream.destroyed) this.#stream.close(NO_ERROR);
  }

  capacity(): number | undefined {
    if (this.#state === "gone" && this.#failure !== undefined) throw this.#failure;
    if (this.#state !== "begun") return undefined;
    return this.#stream.writableNeedDrain ? 0 : largestWrite;
  }

  write(bytes: Uint8Array): void {
    if (this.#state !== "begun" || bytes.length === 0) return;
    this.#written += bytes.length;
    if (this.#bodiless) return;
    if (this.#announced !== undefined && this.#written > this.#announced) {
      this.abort();
      return;
    }
    this.#stream.write(Buffer.from(bytes));
  }

  flush(): Source {
    return this.source;
  }

  close(): void {}

  end(trailers: RawHeaders): void {
    if (this.#state !== "begun") return;
    if (this.#announced !== undefined && this.#written !== this.#announced && !this.#bodiless) {
      this.abort();
      return;
    }
    this.#state = "ended";
    this.#core.log(this.#logEntry());
    this.#wakes.wake();
    if (this.#bodiless) return;
    // Without any, an empty frame ends the stream.
    this.#stream.once("wantTrailers", () => this.#stream.sendTrailers(fieldsOf(trailers)));
    this.#stream.end();
  }

  abort(): void {
    if (this.#state === "ended" || this.#state === "gone") return;
    this.#stream.close(INTERNAL_ERROR);
    this.#onClose();
  }

  #onClose(): void {
    if (this.#state === "gone") return;
    if (this.#state !== "ended") {
      this.#failure = new HttpError({ tag: "connection-terminated" });
      this.#core.log({ ...this.#logEntry(), aborted: true });
    }
    this.#state = "gone";
    this.#wakes.wake();
  }

  /** Nothing has moved: of a guest that computes or waits for others that is nothing to hold against the client. */
  #onTimeout(): void {
    const blocked =
      this.#stream.writableLength > 0 || (this.#state === "ended" && !this.#stream.writableFinished);
    if (blocked || (this.content.awaited && this.begun)) this.#stream.close(CANCEL);
    else if (this.content.awaited) this.content.fail(new HttpError({ tag: "connection-read-timeout" }));
  }

  #logEntry() {
    return {
      peer: this.#peer,
      head: this.head,
      protocol: "HTTP/2",
      status: this.#status,
      bytes: this.#written,
      startedAt: this.#startedAt,
    };
  }
}

const unreadable: RequestHead = { method: "-", path: "-", authority: undefined, rawHeaders: () => [] };

/** What nghttp2 has not seen to: the form of the pseudo-headers. undefined when there can be no such request. */
function headOf({ headers, rawHeaders }: Stream): RequestHead | undefined {
  const method = headers[":method"];
  const path = headers[":path"] ?? (method === "CONNECT" ? "/" : undefined);
  const authority = headers[":authority"] ?? headers.host;
  if (method === undefined || path === undefined) return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in it
  if (/[\u0000-\u0020\u007f]/.test(path) || !(path.startsWith("/") || (path === "*" && method === "OPTIONS")))
    return undefined;
  if (authority !== undefined && !isAuthority(authority)) return undefined;
  return { method, path, authority, rawHeaders: () => withoutPseudo(rawHeaders) };
}

function withoutPseudo(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const [name = "", value = ""] = [raw[index], raw[index + 1]];
    if (!name.startsWith(":")) headers.push(name, value);
  }
  return headers;
}

/** HTTP/2 has names in lower case; several values of one name are a list. */
function fieldsOf(headers: RawHeaders): OutgoingHttpHeaders {
  const fields: Record<string, string | string[]> = {};
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const known = fields[key];
    fields[key] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
  }
  return fields;
}
