import { TandemError } from "../../src/errors.ts";

/** WAVE, the text form of the component model's values (wasm-wave of wasm-tools), token by token. */
export class WaveText {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    this.#skip();
    return this.#at === this.#text.length;
  }

  /** Whether the next token begins so. */
  sees(token: string): boolean {
    this.#skip();
    return this.#text.startsWith(token, this.#at);
  }

  /** Goes past the token if it is the next one. */
  takes(token: string): boolean {
    if (!this.sees(token)) return false;
    this.#at += token.length;
    return true;
  }

  /** What the pattern, which is sticky, matches here. */
  match(pattern: RegExp): string | undefined {
    this.#skip();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  /** A label as it is written, with its % if it has one. */
  label(): string | undefined {
    return this.match(/%?[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*/y);
  }

  /** What `read` makes of what follows; undefined, and nothing is read, when it is nothing for it. */
  attempt<T>(read: () => T | undefined): T | undefined {
    const start = this.#at;
    const value = read();
    if (value === undefined) this.#at = start;
    return value;
  }

  expect(token: string): void {
    if (!this.takes(token)) throw this.unexpected(`"${token}"`);
  }

  /** Items between an opening token, which has been read, and the closing one; a comma after the last is allowed. */
  list(close: string, read: () => void): void {
    while (!this.takes(close)) {
      read();
      if (this.takes(",")) continue;
      this.expect(close);
      return;
    }
  }

  /** An error that says what was expected, and what there is. */
  unexpected(expected: string): TandemError {
    const rest = this.isAtEnd ? "the end" : `"${this.#text.slice(this.#at, this.#at + 20)}"`;
    return new TandemError("invalid_argument", `expected ${expected}, not ${rest}`);
  }

  /** White space, and comments to the end of their line. */
  #skip(): void {
    const blank = /(?:[ \t\r\n]|\/\/[^\n]*)*/y;
    blank.lastIndex = this.#at;
    this.#at += blank.exec(this.#text)?.[0].length ?? 0;
  }
}
