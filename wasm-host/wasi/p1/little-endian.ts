import type { State } from "./state.ts";

let view: DataView = new DataView(new ArrayBuffer(0));

/** A DataView of the guest's memory, for the calls that are rare. A pointer out of it throws a RangeError, see `guarded`. */
export function viewOf(state: State): DataView {
  const { buffer } = state.bytes();
  if (view.buffer !== buffer) view = new DataView(buffer);
  return view;
}

/** Runs `write` and turns a pointer out of the guest's memory into WASI's `fault`. */
export function guarded(write: () => number): number {
  try {
    return write();
  } catch (error) {
    if (error instanceof RangeError) return FAULT;
    throw error;
  }
}

const FAULT = 21;
