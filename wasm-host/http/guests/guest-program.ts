import type { Answer } from "../answer.ts";

/** One instance of an http component. */
export interface GuestInstance {
  readonly answer: Answer;
  /** Makes it as new; false when it cannot be, and is to be replaced. Not while it answers. */
  reset(): boolean;
  /** It is not used again: nothing of it goes on, whatever it was doing, and what it has open is closed, at once or when it is collected. */
  abandon(): void;
}

/** An http component with its grant, whatever the version of WASI. */
export interface GuestProgram {
  /** Whether one instance can answer several requests at once. */
  readonly concurrent: boolean;
  /** @throws what a start function traps with */
  instantiate(): GuestInstance;
}
