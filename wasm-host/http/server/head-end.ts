import { CR, LF } from "./bytes.ts";
import { Refusal } from "./refusal.ts";

/** Finds the empty line that ends a head, as its bytes come in: each is looked at once. */
export class HeadEnd {
  #at = 0;
  #lineStart = 0;

  /**
   * Where the head ends, behind its empty line; undefined when that has not come yet. `length` bytes are there, those of the last call
   * included.
   * @throws Refusal 400 for a LF without its CR
   */
  find(bytes: Uint8Array, length: number): number | undefined {
    let at = this.#at;
    for (; at < length; at++) {
      if (bytes[at] !== LF) continue;
      if (at === 0 || bytes[at - 1] !== CR) throw new Refusal(400, "a line that ends without CR");
      const empty = at - this.#lineStart === 1;
      this.#lineStart = at + 1;
      if (empty && at > 1) return at + 1;
      // An empty line before the request is what is left of a sloppy client's last body (RFC 9112 §2.2).
    }
    this.#at = at;
    return undefined;
  }
}
