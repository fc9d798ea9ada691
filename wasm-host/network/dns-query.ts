import { constants } from "node:os";
import { native } from "../../src/native.ts";
import { monotonicNow, type Source } from "../wasi/p2/waiting.ts";
import { type Endpoint, familyOf } from "./address.ts";
import {
  type DnsResponse,
  decodeResponse,
  encodeQuery,
  type RecordType,
  responseCodes,
} from "./dns-message.ts";
import { closeSocket, openSocket } from "./open-socket.ts";
import type { ResolverConfig } from "./resolv-conf.ts";
import { sockaddrFrom } from "./sockaddr.ts";
import { socketOption } from "./socket-option.ts";

/** `unanswered`: no server said anything in time; `failed`: those that did had a problem of their own (SERVFAIL, REFUSED). */
export type QueryOutcome = DnsResponse | "unanswered" | "failed";

type Arrived = DnsResponse | "nothing" | "unusable";

const { EAGAIN, EINPROGRESS } = constants.errno;
const largestMessage = 65_535;
const scratch = new Uint8Array(largestMessage);

/**
 * One question, put to one server after the other until one has an answer. A socket of its own for each try: a port that the
 * kernel picks is half of what keeps forgers out, and two questions through one socket can lose one of their answers to the
 * address translation of a Kubernetes node.
 *
 * Nothing waits; it goes on by `step`, whenever `source` is ready.
 */
export class DnsQuery {
  readonly #config: ResolverConfig;
  readonly #name: string;
  readonly #type: RecordType;
  readonly #first: number;
  #tries = 0;
  #query: Uint8Array = new Uint8Array(0);
  #fd = -1;
  /** Of a TCP try: what has come of the answer so far, with its length before it. */
  #received: Uint8Array | undefined;
  #connecting = false;
  #deadline = 0n;
  #sawFailure = false;
  #outcome: QueryOutcome | undefined;

  constructor(config: ResolverConfig, name: string, type: RecordType) {
    this.#config = config;
    this.#name = name;
    this.#type = type;
    this.#first = config.rotate ? randomU16() % Math.max(1, config.servers.length) : 0;
    this.#tryNext();
  }

  get outcome(): QueryOutcome | undefined {
    return this.#outcome;
  }

  /** When `step` has something to do. */
  get source(): Source {
    const fd = this.#fd;
    const direction = this.#connecting ? { writable: fd } : { readable: fd };
    return { ready: (polled) => polled ?? false, deadline: this.#deadline, ...direction };
  }

  /** Takes in what has arrived, and goes on to the next server when the time of this one is up. */
  step(): void {
    if (this.#outcome !== undefined) return;
    const arrived = this.#takeIn();
    if (arrived === "nothing" && monotonicNow() < this.#deadline) return;
    if (typeof arrived === "string") this.#tryNext();
    else this.#take(arrived);
  }

  #takeIn(): Arrived {
    if (this.#connecting) return this.#finishConnect();
    return this.#received === undefined ? this.#readDatagrams() : this.#readStream(this.#received);
  }

  close(): void {
    this.#outcome ??= "unanswered";
    if (this.#fd >= 0) closeSocket(this.#fd);
    this.#fd = -1;
  }

  #server(): Endpoint | undefined {
    const { servers } = this.#config;
    return servers[(this.#first + this.#tries - 1) % servers.length];
  }

  #tryNext(): void {
    const { servers, attempts, useTcp } = this.#config;
    while (this.#tries < servers.length * attempts) {
      this.#tries++;
      if (this.#begin(useTcp)) return;
    }
    this.#end(this.#sawFailure ? "failed" : "unanswered");
  }

  /** Sends the question to the server whose turn it is, or begins to connect; false when the kernel says at once that it cannot. */
  #begin(overTcp: boolean): boolean {
    if (this.#fd >= 0) closeSocket(this.#fd);
    this.#fd = -1;
    const server = this.#server();
    if (server === undefined) return false;
    const fd = openSocket(familyOf(server.address), overTcp ? "stream" : "datagram");
    if (fd < 0) return false;
    this.#fd = fd;
    this.#received = undefined;
    this.#connecting = overTcp;
    this.#query = encodeQuery(randomU16(), this.#name, this.#type);
    this.#deadline = monotonicNow() + BigInt(this.#config.timeoutMs) * 1_000_000n;
    const connected = native.socketConnect(fd, sockaddrFrom(server));
    if (overTcp) return connected === 0 || connected === -EINPROGRESS;
    return (
      connected === 0 && native.socketSend(fd, this.#query, 0, this.#query.length) === this.#query.length
    );
  }

  #readDatagrams(): Arrived {
    for (;;) {
      const length = native.socketReceive(this.#fd, scratch, largestMessage);
      if (length === -EAGAIN) return "nothing";
      // An ICMP error: nobody listens there.
      if (length < 0) return "unusable";
      const response = decodeResponse(scratch.subarray(0, length), this.#query, this.#name);
      if (response !== undefined) return response;
    }
  }

  #finishConnect(): Arrived {
    if (native.pollAll(Int32Array.of(this.#fd, 2), 1, 0) === 0) return "nothing";
    this.#connecting = false;
    this.#received = new Uint8Array(0);
    const framed = new Uint8Array(2 + this.#query.length);
    new DataView(framed.buffer).setUint16(0, this.#query.length);
    framed.set(this.#query, 2);
    const failed = native.socketOption(this.#fd, socketOption.error) !== 0;
    // A new connection has room for a question.
    return failed || native.socketSend(this.#fd, framed, 0, framed.length) !== framed.length
      ? "unusable"
      : "nothing";
  }

  #readStream(received: Uint8Array): Arrived {
    const length = native.socketReceive(this.#fd, scratch, largestMessage);
    if (length === -EAGAIN) return "nothing";
    if (length <= 0) return "unusable";
    const all = Buffer.concat([received, scratch.subarray(0, length)]);
    this.#received = all;
    const end = all.length < 2 ? Number.POSITIVE_INFINITY : 2 + all.readUInt16BE(0);
    if (all.length < end) return "nothing";
    const response = decodeResponse(all.subarray(2, end), this.#query, this.#name);
    return response === undefined || response.truncated ? "unusable" : response;
  }

  #take(response: DnsResponse): void {
    const { code, truncated } = response;
    if (truncated) {
      // The same server again, over TCP.
      if (!this.#begin(true)) this.#tryNext();
    } else if (code === responseCodes.noError || code === responseCodes.nameError) this.#end(response);
    else {
      this.#sawFailure = true;
      this.#tryNext();
    }
  }

  #end(outcome: QueryOutcome): void {
    this.#outcome = outcome;
    this.close();
  }
}

/** From the kernel: forked siblings share the state of other generators. */
function randomU16(): number {
  const bytes = new Uint8Array(2);
  const error = native.wasiRandom(bytes, 0, 2);
  if (error !== 0) throw new Error(`getrandom: errno ${error}`);
  return (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0);
}
