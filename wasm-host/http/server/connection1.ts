import { native } from "../../../src/native.ts";
import { HttpError } from "../error-code.ts";
import { Content1, type Inlet } from "./content1.ts";
import { Exchange1 } from "./exchange1.ts";
import { HeadEnd } from "./head-end.ts";
import type { Sender } from "./outbox.ts";
import { Refusal } from "./refusal.ts";
import { type Head1, parseRequestHead } from "./request-head.ts";
import type { ServerCore } from "./server-core.ts";
import { reasonOf } from "./status-text.ts";
import { Wakes } from "./wakes.ts";

const READABLE = 1;
const WRITABLE = 2;
const BROKEN = 4;

const EAGAIN = 11;

/** The first bytes of HTTP/2 (RFC 9113 §3.4). */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** After its last answer a connection takes in this much, so that the client reads the answer before it learns of the end. */
const maxLingering = 1024 * 1024;
const lingerMs = 1000;

/** What is left of a body after its answer: more than this ends the connection instead. */
const maxDiscarded = 256 * 1024;

/**
 * One connection of HTTP/1: reads heads, hands out exchanges one after the other, and sends what they answer. A client that has sent all
 * that it wants to and closed its side is still answered.
 */
export class Connection1 implements Inlet, Sender {
  readonly fd: number;
  readonly peer: string;
  /** When something must have happened, in the server's milliseconds. */
  deadline: number;
  readonly #core: ServerCore;
  /** What the kernel tells of. */
  #armed = 0;
  /** Bytes that have come and belong to nobody yet. */
  #kept: Buffer = Buffer.alloc(0);
  #headEnd = new HeadEnd();
  #exchange: Exchange1 | undefined;
  #contentWanted = false;
  #unsent: Buffer[] = [];
  #state: "open" | "lingering" | "closed" = "open";
  #closing = false;
  #lingered = 0;
  /** How many requests there have been. */
  #requests = 0;
  #headBegun = false;
  /** Heads are being taken: who ends an exchange meanwhile leaves the next one to that. */
  #advancing = false;
  readonly drained = new Wakes();

  constructor(core: ServerCore, fd: number, peer: string) {
    this.#core = core;
    this.fd = fd;
    this.peer = peer;
    this.deadline = core.now + core.limits.headerTimeoutMs;
    this.#arm(READABLE);
  }

  get blocked(): boolean {
    return this.#unsent.length > 0;
  }

  /** Nothing is being asked or answered. */
  get idle(): boolean {
    return this.#exchange === undefined && this.#state === "open" && !this.blocked;
  }

  // --- from the server

  onEvents(events: number): void {
    if ((events & WRITABLE) !== 0) this.#sendKept();
    if (this.#state !== "closed" && (events & READABLE) !== 0) this.#onReadable();
    if (this.#state === "closed") return;
    if ((events & BROKEN) !== 0 && (this.#wants() & READABLE) === 0) {
      this.broken();
      return;
    }
    // What was armed and is not wanted is disarmed when it has come up, not before: as a rule it never does.
    if ((events & this.#armed & ~this.#wants()) !== 0) this.#arm(this.#wants());
  }

  /** The deadline has passed. */
  expire(): void {
    if (this.#exchange !== undefined) {
      this.#exchange.stalled();
      return;
    }
    if (this.#state === "open" && this.#headBegun) {
      this.#refuse(new Refusal(408, "request timeout"));
      return;
    }
    this.close();
  }

  /** The server takes no more requests. */
  drain(): void {
    this.#closing = true;
    if (this.idle) this.close();
  }

  // --- requests

  #onReadable(): void {
    if (this.#state === "lingering") {
      this.#linger();
      return;
    }
    if (this.#exchange !== undefined) {
      if (this.#contentWanted) this.#exchange.content1.onReadable();
      else if (native.socketEnded(this.fd)) this.#exchange.clientEnded();
      return;
    }
    const bytes = this.receive();
    if (bytes === undefined) return;
    if (bytes.length === 0) {
      this.close();
      return;
    }
    this.#kept = none;
    this.#advance(bytes);
  }

  /** Takes one head after the other, as long as each is answered at once and there are more: a client may send them ahead. */
  #advance(bytes: Buffer): void {
    this.#advancing = true;
    let next: Buffer | undefined = bytes;
    while (next !== undefined && this.#state === "open") {
      const whole = this.#takeHead(next);
      next = undefined;
      if (!whole || this.#exchange !== undefined || this.#kept.length === 0) continue;
      next = this.#kept;
      this.#kept = none;
    }
    this.#advancing = false;
    if (this.#state === "open" && this.#exchange === undefined && (this.#armed & READABLE) === 0)
      this.#arm(this.#wants());
  }

  /** Looks for a head in what has come; whether it was there. */
  #takeHead(bytes: Buffer): boolean {
    const { limits } = this.#core;
    try {
      if (this.#requests === 0 && isPreface(bytes)) {
        if (bytes.length < preface.length) return this.#keepHead(bytes);
        this.#becomeHttp2(bytes);
        return true;
      }
      const end = this.#headEnd.find(bytes, bytes.length);
      if ((end ?? bytes.length) > limits.maxHeaderBytes) throw new Refusal(431, "header section too large");
      if (end === undefined) return this.#keepHead(bytes);
      const own = Buffer.from(bytes.subarray(0, end));
      this.#kept = bytes.length === end ? none : Buffer.from(bytes.subarray(end));
      this.#headEnd = new HeadEnd();
      this.#begin(parseRequestHead(own, end, limits.maxHeaders));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#refuse(error);
    }
    return true;
  }

  #keepHead(bytes: Buffer): false {
    if (!this.#headBegun) this.deadline = this.#core.now + this.#core.limits.headerTimeoutMs;
    this.#headBegun = true;
    this.#kept = Buffer.from(bytes);
    return false;
  }

  #begin(head: Head1): void {
    const { limits } = this.#core;
    this.#requests++;
    this.#headBegun = false;
    this.deadline = Number.POSITIVE_INFINITY;
    const content = new Content1(this, head.framing, {
      maxBodyBytes: limits.maxBodyBytes,
      maxTrailerBytes: limits.maxHeaderBytes,
      maxTrailers: limits.maxHeaders,
    });
    const exchange = new Exchange1({ connection: this, core: this.#core, head, content });
    this.#exchange = exchange;
    if (head.upgradeSettings !== undefined && this.#core.upgrade(this, head)) return;
    if (head.framing !== "chunked" && head.framing.length > limits.maxBodyBytes) exchange.fail(413);
    else this.#core.serve(exchange);
  }

  /** Its answer has been sent and its body has gone by, or will never. */
  ended(options: { readonly reusable: boolean }): void {
    this.#exchange = undefined;
    this.#contentWanted = false;
    if (this.#state !== "open") return;
    if (!options.reusable || this.#closing) {
      this.#finish();
      return;
    }
    this.deadline = this.#core.now + this.#core.limits.keepAliveTimeoutMs;
    if (this.#advancing) return;
    const bytes = this.#kept;
    this.#kept = none;
    this.#advance(bytes);
  }

  #refuse({ status }: Refusal): void {
    this.#core.refused(this.peer, status);
    this.#core.outbox.text(this, refusalText(status, this.#core.date.header()));
    this.#finish();
  }

  /** Whether answers from now on are the connection's last. */
  get lastAnswer(): boolean {
    return this.#closing;
  }

  // --- input

  receive(): Buffer | undefined {
    const { inbox } = this.#core;
    if (this.#exchange === undefined) return this.#receiveBehind(inbox);
    if (this.#kept.length > 0) {
      const bytes = this.#kept;
      this.#kept = none;
      return bytes;
    }
    const length = native.socketReceive(this.fd, inbox, inbox.length);
    if (length > 0) this.#exchange.progressed();
    return length >= 0 ? inbox.subarray(0, length) : this.#receiveFailed(length);
  }

  /** More of a head: behind what is there of it. */
  #receiveBehind(inbox: Buffer): Buffer | undefined {
    const before = this.#kept.copy(inbox);
    const length = native.socketReceive(this.fd, inbox.subarray(before), inbox.length - before);
    if (length === 0) return none;
    return length > 0 ? inbox.subarray(0, before + length) : this.#receiveFailed(length);
  }

  #receiveFailed(result: number): Buffer | undefined {
    return result === -EAGAIN ? undefined : none;
  }

  giveBack(bytes: Buffer): void {
    this.#kept = Buffer.from(bytes);
  }

  sendContinue(): void {
    this.#exchange?.sendContinue();
  }

  wanted(wanted: boolean): void {
    this.#contentWanted = wanted;
    if (wanted && (this.#armed & READABLE) === 0) this.#arm(this.#wants());
    this.#exchange?.progressed();
  }

  contentEnded(): void {
    this.#exchange?.contentEnded();
  }

  // --- output

  keep(bytes: Buffer): void {
    this.#unsent.push(bytes);
    this.#arm(this.#wants());
    this.#exchange?.progressed();
  }

  #sendKept(): void {
    while (this.#unsent.length > 0) {
      const [bytes = none] = this.#unsent;
      const sent = native.socketSend(this.fd, bytes, 0, bytes.length);
      if (sent < 0) {
        sent === -EAGAIN ? undefined : this.broken();
        return;
      }
      this.#exchange?.progressed();
      if (sent < bytes.length) {
        this.#unsent[0] = bytes.subarray(sent);
        return;
      }
      this.#unsent.shift();
    }
    this.drained.wake();
    if (this.#state === "lingering") this.#finish();
  }

  // --- the end

  /** Sends what is left, says that nothing will follow, and waits for the client to have read it. */
  #finish(): void {
    this.#state = "lingering";
    this.deadline = this.#core.now + lingerMs;
    this.#core.outbox.flushFor(this);
    if (this.blocked || this.#state !== "lingering") return;
    native.socketShutdown(this.fd, 1);
    this.#arm(READABLE);
  }

  #linger(): void {
    const { inbox } = this.#core;
    const length = native.socketReceive(this.fd, inbox, inbox.length);
    if (length === -EAGAIN) return;
    this.#lingered += length;
    if (length <= 0 || this.#lingered > maxLingering) this.close();
  }

  /** The client is gone. */
  broken(): void {
    this.#exchange?.content1.fail(new HttpError({ tag: "connection-terminated" }));
    this.close();
  }

  /** Without a word. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#core.outbox.discardFor(this);
    this.#core.forget(this);
    native.close(this.fd);
    this.#unsent = [];
    this.drained.wake();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.connectionClosed();
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  /** Whether what is left of a body can go by: what its exchange does not know is how much that is. */
  canDiscard({ framing }: Head1): boolean {
    return framing === "chunked" || framing.length <= maxDiscarded;
  }

  /** Gives the socket away, with bytes that have come; nothing of it is this connection's any more. */
  handOver(): { readonly fd: number; readonly bytes: Buffer } {
    this.#state = "closed";
    this.#exchange = undefined;
    this.#core.outbox.flushFor(this);
    this.#core.forget(this);
    return { fd: this.fd, bytes: this.#kept };
  }

  #becomeHttp2(bytes: Buffer): void {
    if (!this.#core.limits.http2) throw new Refusal(505, "HTTP version not supported");
    this.#kept = Buffer.from(bytes);
    this.#core.startHttp2(this.handOver(), this.peer);
  }

  #wants(): number {
    const reads =
      this.#state === "lingering" ? !this.blocked : this.#exchange === undefined || this.#contentWanted;
    return (reads ? READABLE : 0) | (this.blocked ? WRITABLE : 0);
  }

  #arm(events: number): void {
    if (this.#state === "closed" || events === this.#armed) return;
    this.#armed = events;
    this.#core.watch(this, events);
  }
}

const none = Buffer.alloc(0);

function isPreface(bytes: Buffer): boolean {
  const length = Math.min(bytes.length, preface.length);
  return bytes.compare(preface, 0, length, 0, length) === 0;
}

function refusalText(status: number, date: string): string {
  return `HTTP/1.1 ${status} ${reasonOf(status)}\r\n${date}content-length: 0\r\nconnection: close\r\n\r\n`;
}
