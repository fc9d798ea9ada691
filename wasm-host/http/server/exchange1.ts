import type { Source } from "../../wasi/p2/waiting.ts";
import type { OutgoingContent } from "../content.ts";
import { HttpError } from "../error-code.ts";
import type { Exchange, RawHeaders } from "../exchange.ts";
import type { Connection1 } from "./connection1.ts";
import type { Content1 } from "./content1.ts";
import type { Head1 } from "./request-head.ts";
import type { ServerCore } from "./server-core.ts";
import { reasonOf } from "./status-text.ts";
import { Wakes } from "./wakes.ts";

/** One write is at most this. */
const largestWrite = 65_536;

interface Parts {
  readonly connection: Connection1;
  readonly core: ServerCore;
  readonly head: Head1;
  readonly content: Content1;
}

/** How the end of an answer's body is told. */
type Framing = "length" | "chunks" | "close" | "none";

/** A request of HTTP/1 and its answer. */
export class Exchange1 implements Exchange, OutgoingContent {
  readonly head: Head1;
  readonly content1: Content1;
  readonly source: Source;
  readonly finished: Source;
  readonly #connection: Connection1;
  readonly #core: ServerCore;
  readonly #startedAt: number;
  #status = 0;
  #headers: RawHeaders = [];
  /** What `content-length` says. */
  #announced: number | undefined;
  /** Bytes of the body that were sent. */
  #written = 0;
  #state: "waiting" | "begun" | "ended" | "gone" = "waiting";
  /** undefined as long as the head has not been written. */
  #framing: Framing | undefined;
  /** The first bytes of a body, for as long as they may be all of it. */
  #first: Buffer | undefined;
  #continued: boolean;
  #released = false;
  #clientEnded = false;
  #last = false;
  #failure: HttpError | undefined;
  readonly #wakes = new Wakes();

  constructor({ connection, core, head, content }: Parts) {
    this.head = head;
    this.content1 = content;
    this.#connection = connection;
    this.#core = core;
    this.#startedAt = core.now;
    this.#continued = !head.expectsContinue;
    const watch = (wake: () => void): (() => void) => {
      const stops = [this.#wakes.add(wake), connection.drained.add(wake)];
      return () => {
        for (const stop of stops) stop();
      };
    };
    this.source = { ready: () => this.#state !== "begun" || !connection.blocked, watch };
    this.finished = {
      ready: () => this.#state === "gone" || (this.#state === "ended" && !connection.blocked),
      watch,
    };
  }

  // --- Exchange

  get content(): Content1 {
    return this.content1;
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

  inform(status: number, headers: RawHeaders): void {
    // HTTP/1.0 knows no such answers (RFC 9110 §15.2).
    if (this.head.minor === 0 || this.#state !== "waiting") return;
    this.#core.outbox.text(
      this.#connection,
      `HTTP/1.1 ${status} ${reasonOf(status)}\r\n${textOf(headers)}\r\n`,
    );
  }

  begin(status: number, headers: RawHeaders): OutgoingContent {
    if (this.#state !== "waiting") return this;
    this.#state = "begun";
    this.#status = status;
    this.#headers = headers;
    const announced = headers.find(([name]) => isName(name, "content-length"))?.[1];
    this.#announced = announced === undefined ? undefined : Number(announced);
    return this;
  }

  fail(status: number): void {
    if (this.#state === "ended" || this.#state === "gone") return;
    if (this.#state === "begun" && this.#framing !== undefined) {
      this.abort();
      return;
    }
    this.#state = "waiting";
    this.#first = undefined;
    this.#written = 0;
    this.#last = true;
    this.begin(status, []);
    this.end([]);
    this.release();
  }

  release(): void {
    this.#released = true;
    this.#advance();
  }

  // --- OutgoingContent

  get failure(): Error | undefined {
    return this.#failure;
  }

  capacity(): number | undefined {
    if (this.#state === "gone" && this.#failure !== undefined) throw this.#failure;
    if (this.#state !== "begun") return undefined;
    return this.#connection.blocked ? 0 : largestWrite;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#state !== "begun") return;
    this.#written += bytes.length;
    if (this.#clientEnded) this.progressed();
    // What is too much would be taken for the next answer.
    if (this.#announced !== undefined && this.#written > this.#announced && !this.#hasNoBody()) {
      this.abort();
      return;
    }
    if (this.#framing === undefined) {
      if (this.#first === undefined && this.#mayCount()) {
        // When nothing follows but the end, its length is known.
        this.#first = Buffer.from(bytes);
        this.#core.outbox.later(this);
        return;
      }
      this.#writeHead(undefined);
    }
    this.#put(bytes);
  }

  /** Before the turn is over, everything is sent; the guest does not wait for it. */
  flush(): Source {
    return this.source;
  }

  close(): void {}

  end(trailers: RawHeaders): void {
    if (this.#state !== "begun") return;
    if (this.#announced !== undefined && this.#written !== this.#announced && !this.#hasNoBody()) {
      this.abort();
      return;
    }
    this.#state = "ended";
    const { outbox } = this.#core;
    if (this.#framing === undefined)
      this.#writeHead(trailers.length === 0 ? (this.#first?.length ?? 0) : undefined);
    if (this.#framing === "chunks") outbox.text(this.#connection, `0\r\n${textOf(trailers)}\r\n`);
    this.#core.log(this.#logEntry());
    this.#wakes.wake();
    this.#advance();
  }

  abort(): void {
    if (this.#state === "ended" || this.#state === "gone") return;
    // What has been written tells the client that it is not all.
    this.#commit();
    this.#core.outbox.flushFor(this.#connection);
    this.#connection.close();
  }

  /** What has been written is sent although more will follow. */
  commit(): void {
    if (this.#state === "begun") this.#commit();
  }

  #commit(): void {
    if (this.#framing === undefined && this.#state === "begun") this.#writeHead(undefined);
  }

  /** Whether its framing is ours to choose. */
  #mayCount(): boolean {
    return !this.#hasNoBody() && this.#announced === undefined;
  }

  #hasNoBody(): boolean {
    return this.head.method === "HEAD" || this.#status === 204 || this.#status === 304;
  }

  /** `length` is that of the whole body, when it is known without the guest having said so. */
  #writeHead(length: number | undefined): void {
    const framing = this.#chooseFraming(length);
    this.#framing = framing;
    const { ended, settled } = this.content1;
    // What is left of the body, if any of it comes, could not be told from the next request.
    const unread = settled ? !ended : !this.#continued;
    if (!this.head.keepAlive || framing === "close" || unread || this.#connection.lastAnswer)
      this.#last = true;
    const fields = [
      `HTTP/1.1 ${this.#status} ${reasonOf(this.#status)}\r\n`,
      textOf(this.#headers),
      this.#headers.some(([name]) => isName(name, "date")) ? "" : this.#core.date.header(),
      this.#framingField(length),
      this.#last ? "connection: close\r\n" : this.head.minor === 0 ? "connection: keep-alive\r\n" : "",
      "\r\n",
    ];
    this.#core.outbox.text(this.#connection, fields.join(""));
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) this.#put(first);
  }

  #chooseFraming(length: number | undefined): Framing {
    if (this.#hasNoBody()) return "none";
    if (length !== undefined || !this.#mayCount()) return "length";
    return this.head.minor === 1 ? "chunks" : "close";
  }

  #framingField(length: number | undefined): string {
    if (this.#framing === "chunks") return "transfer-encoding: chunked\r\n";
    // RFC 9110 §8.6: none with 204; with HEAD and 304 it would be that of a GET, which nobody knows.
    return this.#framing === "length" && length !== undefined && this.#mayCount()
      ? `content-length: ${length}\r\n`
      : "";
  }

  #put(bytes: Uint8Array): void {
    const { outbox } = this.#core;
    switch (this.#framing) {
      case "chunks":
        outbox.text(this.#connection, `${bytes.length.toString(16)}\r\n`);
        outbox.bytes(this.#connection, bytes);
        outbox.text(this.#connection, "\r\n");
        return;
      case "none":
        return;
      default:
        outbox.bytes(this.#connection, bytes);
    }
  }

  // --- from the connection

  sendContinue(): void {
    if (this.#continued) return;
    this.#continued = true;
    if (this.#state === "waiting") this.#core.outbox.text(this.#connection, "HTTP/1.1 100 Continue\r\n\r\n");
    this.#core.outbox.flushFor(this.#connection);
  }

  contentEnded(): void {
    this.#advance();
  }

  connectionClosed(): void {
    if (this.#state !== "ended" && this.#state !== "gone")
      this.#core.log({ ...this.#logEntry(), aborted: true });
    this.#failure ??= new HttpError({ tag: "connection-terminated" });
    this.#state = "gone";
    this.content1.fail(this.#failure);
    this.#wakes.wake();
  }

  /** The client sends nothing more: it may wait for its answer still, or be gone, which only sending tells. */
  clientEnded(): void {
    this.#clientEnded = true;
    this.progressed();
  }

  /** Something has moved between the client and us; from now on it has its time again, if it is the client who is waited for. */
  progressed(): void {
    const unsure = this.#clientEnded && this.#state === "begun";
    const waiting = this.content1.awaited || this.#connection.blocked || unsure;
    this.#connection.deadline = waiting
      ? this.#core.now + this.#core.limits.ioTimeoutMs
      : Number.POSITIVE_INFINITY;
  }

  /** The client has kept us waiting for too long. */
  stalled(): void {
    if (this.#connection.blocked || this.begun) {
      this.abort();
      return;
    }
    this.content1.fail(new HttpError({ tag: "connection-read-timeout" }));
  }

  /** Goes on to the next request as soon as this one is through. */
  #advance(): void {
    if (this.#state !== "ended" || this.#connection.closed) return;
    if (this.content1.settled || this.#last) {
      if (!this.content1.settled && !this.#released) return;
      this.#connection.ended({ reusable: this.content1.ended && !this.#last });
      return;
    }
    if (!this.#released) return;
    if (this.#connection.canDiscard(this.head)) this.content1.discard();
    else this.#connection.ended({ reusable: false });
  }

  #logEntry() {
    return {
      peer: this.#connection.peer,
      head: this.head,
      protocol: `HTTP/1.${this.head.minor}`,
      status: this.#status,
      bytes: this.#written,
      startedAt: this.#startedAt,
    };
  }
}

function textOf(headers: RawHeaders): string {
  let text = "";
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
  return text;
}

function isName(name: string, wanted: string): boolean {
  return name.length === wanted.length && name.toLowerCase() === wanted;
}
