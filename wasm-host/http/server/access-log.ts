import type { RequestHead } from "./request-head.ts";

/** What became of a request. */
export interface LogEntry {
  readonly peer: string;
  readonly head: RequestHead;
  /** `HTTP/1.1` */
  readonly protocol: string;
  /** 0 when there was no answer. */
  readonly status: number;
  /** Of the answer's body. */
  readonly bytes: number;
  /** In the server's milliseconds. */
  readonly startedAt: number;
  /** The answer was not whole. */
  readonly aborted?: boolean;
}

export type LogFormat = "text" | "json";

/** One line for each request that was answered or given up. `write` gets it without a newline. */
export class AccessLog {
  readonly #format: LogFormat;
  readonly #write: (line: string) => void;

  constructor(format: LogFormat, write: (line: string) => void) {
    this.#format = format;
    this.#write = write;
  }

  add(entry: LogEntry, now: number): void {
    const ms = Math.max(0, Math.round((now - entry.startedAt) * 1000) / 1000);
    this.#write(this.#format === "json" ? asJson(entry, ms) : asText(entry, ms));
  }
}

function asJson({ peer, head, protocol, status, bytes, aborted }: LogEntry, ms: number): string {
  return JSON.stringify({
    time: new Date().toISOString(),
    peer,
    method: head.method,
    path: head.path,
    authority: head.authority,
    protocol,
    status,
    bytes,
    ms,
    ...(aborted === true ? { aborted } : {}),
  });
}

/** The common log format, and how long it took. */
function asText({ peer, head, protocol, status, bytes, aborted }: LogEntry, ms: number): string {
  const request = `${head.method} ${quotable(head.path)} ${protocol}`;
  return `${peer} - - [${new Date().toISOString()}] "${request}" ${status === 0 ? "-" : status} ${bytes} ${ms}${aborted === true ? " aborted" : ""}`;
}

/** A path may have quotes in it, and bytes that are no text. */
function quotable(text: string): string {
  return text.replace(
    /["\\\u007f-\uffff]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
