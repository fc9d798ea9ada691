import type { HttpErrorCode } from "../../../http/error-code.ts";
import type { Result } from "../../p2/result.ts";
import type { Fields } from "./fields.ts";

export type Trailers = Result<Fields | undefined, HttpErrorCode>;

/** How a message was transmitted, or its content dealt with. */
export type Transmission = Result<undefined, HttpErrorCode>;

/**
 * The content of a request or response of wasi:http 0.3: bytes, then trailers. It is given to one taker, who reads it to its end and
 * says how that went, or drops it.
 */
export interface Body {
  /** Up to `most` bytes; undefined at the end. Rejects with what broke the message. */
  next(most: number): Promise<Uint8Array | undefined>;
  /** After the end. */
  trailers(): Promise<Trailers>;
  /** Whether there is nothing but trailers. */
  readonly empty: boolean;
  /** Nobody reads on. */
  drop(): void;
  /** Tells its maker, once. */
  settle(transmission: Transmission): void;
}
