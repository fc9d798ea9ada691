import { writeText } from "../report.ts";
import { printable } from "./printable.ts";

/** So many different ones are told; a guest that tries every path there is must not fill the log. */
const MOST = 200;

/** Why a call failed, as far as the grant or the file system has it so. */
export interface Reason {
  readonly what: "denied" | "missing";
  readonly because: string;
}

/**
 * What a guest was denied, for whoever debugs it (TANDEM_LOG=debug): each call with each subject once, a line on the guest's stderr. There is
 * one guest in a process, and so one of these; unless it is switched on, it does nothing and costs nothing.
 */
class Denials {
  #stderr: number | undefined;
  readonly #told = new Set<string>();

  get isOn(): boolean {
    return this.#stderr !== undefined;
  }

  switchOn(stderr: number): void {
    this.#stderr = stderr;
  }

  switchOff(): void {
    this.#stderr = undefined;
    this.#told.clear();
  }

  /** @param subject what the call was about: a path, a host, a descriptor */
  tell(call: string, subject: string, { what, because }: Reason): void {
    const line = `${what}: ${call}${subject === "" ? "" : ` ${printable(subject)}`}: ${because}`;
    if (this.#stderr === undefined || this.#told.size > MOST || this.#told.has(line)) return;
    this.#told.add(line);
    writeText(this.#stderr, `tandem: ${this.#told.size > MOST ? "denied: more than is told here" : line}\n`);
  }
}

export const denials = new Denials();
