import type { IncomingContent, OutgoingContent } from "./content.ts";
import type { RequestHead } from "./server/request-head.ts";

export type RawHeaders = readonly (readonly [name: string, value: string])[];

/**
 * A request, and the place for its one answer: what the server has for a guest, whatever the version of HTTP and of WASI. Header values
 * are Latin-1.
 */
export interface Exchange {
  readonly head: RequestHead;
  readonly content: IncomingContent;
  /** Whether an answer has begun. */
  readonly begun: boolean;
  /** Whether the answer is whole. */
  readonly ended: boolean;
  /** Whether nobody is there any more to answer. */
  readonly broken: boolean;
  /** An informational answer (1xx), before the one that counts. Nothing happens where the client's protocol has none. */
  inform(status: number, headers: RawHeaders): void;
  /** Begins the answer. */
  begin(status: number, headers: RawHeaders): OutgoingContent;
  /** An answer of the server's own in place of the guest's, or an end to what that has begun. */
  fail(status: number): void;
  /** The guest has no more to do with it: content that it has not read is not waited for. */
  release(): void;
}
