/** The Date field, made once a second. */
export class DateHeader {
  #second = 0;
  #text = "";

  /** `date: …` with its CRLF. */
  header(): string {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = `date: ${new Date(second * 1000).toUTCString()}\r\n`;
    }
    return this.#text;
  }
}
