import { createSocket, type Socket } from "node:dgram";
import { createServer, type Server } from "node:net";

/** A question as a server sees it. */
export interface Question {
  readonly name: string;
  readonly type: number;
  readonly overTcp: boolean;
}

/** A record of an answer: [owner, type, data]. */
export type DnsRecord = readonly [owner: string, type: number, data: Uint8Array];

export interface Answer {
  readonly code?: number;
  readonly truncated?: boolean;
  readonly records?: readonly DnsRecord[];
  /** Sent as they are before the answer. */
  readonly forged?: readonly Uint8Array[];
}

/** A DNS server on port 53 of one address of the loopback network. `answer` returning undefined is silence. */
export class DnsServer {
  readonly questions: Question[] = [];
  readonly #udp: Socket = createSocket("udp4");
  readonly #tcp: Server;
  readonly #answer: (question: Question, query: Buffer) => Answer | undefined;

  constructor(answer: (question: Question, query: Buffer) => Answer | undefined) {
    this.#answer = answer;
    this.#udp.on("message", (query, from) => {
      for (const message of this.#messages(query, false)) this.#udp.send(message, from.port, from.address);
    });
    this.#tcp = createServer((connection) => {
      connection.on("error", () => connection.destroy());
      connection.on("data", (data: Buffer) => {
        for (const message of this.#messages(data.subarray(2), true)) {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(message.length);
          // In two parts, as a slow network brings them.
          connection.write(Buffer.concat([length, message.subarray(0, 5)]));
          setTimeout(() => connection.write(message.subarray(5)), 5);
        }
      });
    });
  }

  async listen(address: string): Promise<void> {
    await new Promise<void>((resolve) => this.#udp.bind(53, address, resolve));
    await new Promise<void>((resolve) => this.#tcp.listen(53, address, resolve));
  }

  close(): void {
    this.#udp.close();
    this.#tcp.close();
  }

  #messages(query: Buffer, overTcp: boolean): Uint8Array[] {
    const question = { ...readQuestion(query), overTcp };
    this.questions.push(question);
    const answer = this.#answer(question, query);
    return answer === undefined ? [] : [...(answer.forged ?? []), encodeAnswer(query, answer)];
  }
}

function readQuestion(query: Buffer): { readonly name: string; readonly type: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join("."), type: query.readUInt16BE(at + 1) };
}

export function encodeName(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.of(0)]);
}

export function encodeAnswer(query: Buffer, { code = 0, truncated = false, records = [] }: Answer): Buffer {
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180 | code | (truncated ? 0x0200 : 0), 2);
  header.writeUInt16BE(records.length, 6);
  const bodies = records.map(([owner, type, data]) => {
    const rest = Buffer.alloc(10);
    rest.writeUInt16BE(type, 0);
    rest.writeUInt16BE(1, 2);
    rest.writeUInt16BE(data.length, 8);
    return Buffer.concat([encodeName(owner), rest, data]);
  });
  return Buffer.concat([header, query.subarray(12), ...bodies]);
}
