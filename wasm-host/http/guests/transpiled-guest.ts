import { isWasi03 } from "../../../src/image/wasi-version.ts";
import type { ComponentCode, Instantiated } from "../../component-code.ts";
import type { ComponentGrant } from "../../wasi/p2/imports.ts";
import { createAnswer03 } from "../../wasi/p3/http/answer.ts";
import { type Answer, createAnswer02, type Handle02 } from "../answer.ts";
import type { GuestInstance, GuestProgram } from "./guest-program.ts";

/** A component by jco's glue: one of 0.3, or of 0.2 that no link plan can say. Its instances have no way back. */
export class TranspiledGuestProgram implements GuestProgram {
  readonly concurrent: boolean;
  readonly #code: ComponentCode;
  readonly #grant: ComponentGrant;
  readonly #name: string;

  constructor(code: ComponentCode, grant: ComponentGrant) {
    this.#code = code;
    this.#grant = grant;
    this.#name = code.entry.name ?? "";
    this.concurrent = isWasi03(this.#name);
  }

  instantiate(): GuestInstance {
    const instantiated = this.#code.instantiate(this.#grant);
    return {
      answer: this.concurrent ? createAnswer03(instantiated, this.#name) : this.#answer02(instantiated),
      reset: () => false,
      // What it waits for is forgotten with it, what it has open is closed then; what it has begun is broken by the exchange.
      abandon: () => {},
    };
  }

  #answer02({ instance }: Instantiated): Answer {
    const handler = instance[this.#name] as { readonly handle: Handle02 };
    return createAnswer02((request, out) => handler.handle(request, out));
  }
}
