import { TandemError } from "../../../src/errors.ts";
import type { LiftedFunction, LinkPlan } from "../../../src/image/link/plan.ts";
import type { LinkedProgram } from "../../linked/linked-code.ts";
import { GuestEnded, type LinkedInstance } from "../../linked/linked-instance.ts";
import type { Snapshot } from "../../linked/snapshot.ts";
import { type Answer, createAnswer02, type Handle02 } from "../answer.ts";
import { RequestTimeout } from "../request-timeout.ts";
import type { GuestInstance, GuestProgram } from "./guest-program.ts";

export interface LinkedGuestOptions {
  /** Whether instances are put back to their first state, where that comes to the same as a new one. */
  readonly reset: boolean;
  /** Whether its clocks or random numbers are made up: they begin anew with each instance. */
  readonly deterministic: boolean;
}

/** A component of wasi:http/proxy 0.2 that has a link plan. */
export class LinkedGuestProgram implements GuestProgram {
  readonly concurrent = false;
  /** undefined: each instance has its own. */
  readonly #program: LinkedProgram | undefined;
  readonly #bind: () => LinkedProgram;
  readonly #plan: LinkPlan;
  readonly #handle: LiftedFunction;
  readonly #resettable: boolean;

  /**
   * @param bind gives the component what it is granted
   * @throws TandemError `invalid_argument` when it exports no handler; as `bind` does
   */
  constructor(bind: () => LinkedProgram, plan: LinkPlan, { reset, deterministic }: LinkedGuestOptions) {
    const handle = plan.exports.find(
      (one) => one.interface.startsWith("wasi:http/incoming-handler@0.2.") && one.name === "handle",
    );
    if (handle === undefined)
      throw new TandemError("invalid_argument", "component does not export wasi:http/incoming-handler");
    this.#bind = bind;
    this.#program = deterministic ? undefined : bind();
    this.#plan = plan;
    this.#handle = handle;
    this.#resettable = reset && !deterministic;
  }

  instantiate(): GuestInstance {
    const program = this.#program ?? this.#bind();
    const instance = program.instantiate();
    const snapshot = this.#resettable ? program.snapshot(instance) : undefined;
    return new LinkedGuest(instance, snapshot, {
      core: instance.exported(this.#handle.core),
      postReturn: this.#handle.postReturn && instance.exported(this.#handle.postReturn),
      request: this.#resourceOf(0),
      out: this.#resourceOf(1),
    });
  }

  /** The resource that the parameter is a handle of. */
  #resourceOf(param: number): number {
    const ref = this.#handle.params[param];
    const type = typeof ref === "number" ? this.#plan.types[ref] : undefined;
    if (type === undefined || !("own" in type))
      throw new TandemError("invalid_argument", "component exports a handler of another type");
    return type.own;
  }
}

interface Handler {
  readonly core: WebAssembly.ExportValue;
  readonly postReturn: WebAssembly.ExportValue | undefined;
  /** Places of the resources in the plan. */
  readonly request: number;
  readonly out: number;
}

class LinkedGuest implements GuestInstance {
  readonly answer: Answer;
  readonly #instance: LinkedInstance;
  readonly #snapshot: Snapshot | undefined;

  constructor(instance: LinkedInstance, snapshot: Snapshot | undefined, handler: Handler) {
    this.#instance = instance;
    this.#snapshot = snapshot;
    const handle = WebAssembly.promising(handler.core);
    const postReturn = handler.postReturn as (() => unknown) | undefined;
    this.answer = (exchange, report) => {
      const call: Handle02 = (request, out) => {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const enter = (): void => {
          const args = [
            instance.handles.add(handler.request, request),
            instance.handles.add(handler.out, out),
          ];
          handle(...args)
            .then(() => postReturn && instance.tidyUp(postReturn, []))
            .then(
              () => instance.left(resolve),
              (error: unknown) => instance.left(() => reject(instance.failure ?? error)),
            );
        };
        instance.enter(enter, report.deadline, (error) => reject(toTimeout(error)));
        return promise;
      };
      return createAnswer02(call)(exchange, report);
    };
  }

  reset(): boolean {
    return this.#instance.failure === undefined && this.#snapshot?.restore() === true;
  }

  abandon(): void {
    this.#instance.abandon();
  }
}

function toTimeout(error: Error): Error {
  return error instanceof GuestEnded ? new RequestTimeout(error.message) : error;
}
