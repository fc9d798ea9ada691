import { native } from "../../../src/native.ts";
import type { MadeUpClock } from "../../deterministic/made-up-clock.ts";
import { viewOf } from "./little-endian.ts";
import type { State } from "./state.ts";

/** Arguments of poll_oneoff, as offsets in the guest's memory. */
export interface PollCall {
  readonly subscriptions: number;
  readonly events: number;
  readonly count: number;
  readonly result: number;
  /** As wasiPoll takes them. */
  readonly fds: Int32Array;
}

const EVENT_SIZE = 32;
const CLOCK = 0;
const [REALTIME, MONOTONIC] = [0, 1];
/** native/addon/wasi_poll.cc waits for as long as it takes. */
const FOREVER = 2n ** 63n - 1n;

interface Timer {
  readonly userdata: bigint;
  /** By the made-up monotonic clock. */
  readonly deadline: bigint;
}

/**
 * poll_oneoff by made-up clocks: descriptors that are ready now are told, and timers that are due; when there are none, the clocks
 * are moved to the next timer. Only a guest that waits for descriptors alone waits.
 * @returns an errno
 * @throws RangeError for a pointer out of the guest's memory
 */
export function pollMadeUp(state: State, clock: MadeUpClock, call: PollCall): number {
  const { subscriptions, events, count, result, fds } = call;
  const timers = readTimers(state, clock, call);
  if (timers.size === 0)
    return native.wasiPoll(state.bytes(), subscriptions, events, count, Number(state.unstable), fds, result);
  const others = Array.from({ length: count }, (_, index) => index).filter((index) => !timers.has(index));
  const ready = pollOthers(state, call, others);
  if (typeof ready === "number") return ready;
  const due = dueTimers(clock, [...timers.values()], ready.length === 0);
  const told = [...ready, ...due.map(timerEvent)];
  const bytes = state.bytes();
  for (const [index, event] of told.entries()) bytes.set(event, events + index * EVENT_SIZE);
  viewOf(state).setUint32(result, told.length, true);
  return 0;
}

/** By their places among the subscriptions; without those that never end. What wasiPoll refuses, it is left. */
function readTimers(state: State, clock: MadeUpClock, call: PollCall): Map<number, Timer> {
  const view = viewOf(state);
  const timers = new Map<number, Timer>();
  const size = state.unstable ? 56 : 48;
  for (let index = 0; index < call.count; index++) {
    const at = call.subscriptions + index * size;
    if (view.getUint8(at + 8) !== CLOCK) continue;
    const fields = at + (state.unstable ? 24 : 16);
    const id = view.getUint32(fields, true);
    const timeout = view.getBigUint64(fields + 8, true);
    if (id > MONOTONIC || timeout >= FOREVER) continue;
    const absolute = (view.getUint16(fields + 24, true) & 1) !== 0;
    const start = absolute ? 0n : clock.now;
    const ahead = absolute && id === REALTIME ? clock.wall - clock.now : 0n;
    timers.set(index, { userdata: view.getBigUint64(at, true), deadline: start + timeout - ahead });
  }
  return timers;
}

/** Which of the other subscriptions have something to tell now, as events; or an errno. */
function pollOthers(state: State, call: PollCall, others: readonly number[]): Uint8Array[] | number {
  if (others.length === 0) return [];
  const size = state.unstable ? 56 : 48;
  // A timer that is due at once comes last: nothing is waited for.
  const count = others.length + 1;
  const eventsAt = count * size;
  const resultAt = eventsAt + count * EVENT_SIZE;
  const memory = new Uint8Array(resultAt + 4);
  const fds = new Int32Array(count);
  for (const [place, index] of others.entries()) {
    const at = call.subscriptions + index * size;
    memory.set(state.bytes().subarray(at, at + size), place * size);
    fds[place] = call.fds[index] ?? 0;
  }
  const view = new DataView(memory.buffer);
  view.setUint32(others.length * size + (state.unstable ? 24 : 16), MONOTONIC, true);
  const errno = native.wasiPoll(memory, 0, eventsAt, count, Number(state.unstable), fds, resultAt);
  if (errno !== 0) return errno;
  const length = view.getUint32(resultAt, true);
  const events = Array.from({ length }, (_, index) => {
    const at = eventsAt + index * EVENT_SIZE;
    return memory.subarray(at, at + EVENT_SIZE);
  });
  return events.filter((event) => !isOwnTimer(event));
}

/** Of the guest's timers only those are asked that are wrong, and theirs is an error. */
function isOwnTimer(event: Uint8Array): boolean {
  return event[10] === CLOCK && event[8] === 0 && event[9] === 0;
}

function dueTimers(clock: MadeUpClock, timers: readonly Timer[], move: boolean): Timer[] {
  const due = (): Timer[] => timers.filter(({ deadline }) => deadline <= clock.now);
  if (move && due().length === 0) {
    let next = FOREVER;
    for (const { deadline } of timers) if (deadline < next) next = deadline;
    clock.moveTo(next);
  }
  return due();
}

function timerEvent({ userdata }: Timer): Uint8Array {
  const event = new Uint8Array(EVENT_SIZE);
  new DataView(event.buffer).setBigUint64(0, userdata, true);
  return event;
}
