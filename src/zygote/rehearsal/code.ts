import { join } from "node:path";
import type { CodeEngine } from "../../code/code-engine.ts";
import { sha256 } from "../../code/code-entry.ts";
import { CodeStore } from "../../code/code-store.ts";
import { GuestCode } from "../../code/guest-code.ts";
import { native } from "../../native.ts";
import { rehearsalModule } from "./module.ts";

/** Stores of the rehearsal's own: one with the code of its module, one that stays empty. */
export class RehearsalCode {
  readonly #engine: CodeEngine;
  readonly #full: CodeStore;
  readonly #empty: CodeStore;

  constructor(engine: CodeEngine, directory: string) {
    this.#engine = engine;
    this.#full = new CodeStore({ directory: join(directory, "code") });
    this.#empty = new CodeStore({ directory: join(directory, "no-code") });
    this.#fill();
  }

  /** Of a guest whose module has code. */
  forGuest(): GuestCode {
    return new GuestCode(this.#engine, this.#full);
  }

  /** Of one whose module is run for the first time. */
  forFirstGuest(): GuestCode {
    return new GuestCode(this.#engine, this.#empty);
  }

  /** In this process, because this module is the zygote's own: nobody else's is ever compiled here. */
  #fill(): void {
    const scan = native.scanModule(rehearsalModule, 0);
    if (scan === undefined) throw new Error("the rehearsed module cannot be read");
    const functions = Array.from({ length: scan.functions }, (_, index) => index);
    const code = this.#engine.save(this.#engine.compile(rehearsalModule, scan, functions));
    const counts = { optimised: functions.length, functions: scan.functions };
    this.#full.add(this.#engine.headOf(sha256(rehearsalModule), code, counts), code);
  }
}
