import { native } from "../../../src/native.ts";
import { monotonicNow, type Source } from "./waiting.ts";

const READABLE = 1;
const WRITABLE = 2;

/** A longer wait is several. */
const longestNs = 0x7fff_ffff * 1_000_000;

/** Pairs [descriptor, events] for native.pollAll. Nothing else runs between filling and reading it. */
let pairs = new Int32Array(64);

/**
 * Asks all sources with one ppoll(2), and says which are ready, by their indexes. With `wait` the thread waits until one may be. None
 * are after a signal, and when one that is not finished yet has only moved on: the caller asks again.
 */
export function sweep(sources: readonly Source[], wait: boolean): number[] {
  /** Of each source, how many pairs there are with its own. */
  const ends: number[] = [];
  let count = 0;
  let timeoutNs = wait ? Number.POSITIVE_INFINITY : 0;
  for (const source of sources) {
    const start = count;
    if (source.madeUp !== undefined) timeoutNs = 0;
    for (const { readable, writable, deadline } of source.parts?.() ?? [source]) {
      if (readable !== undefined) request(count++, readable, READABLE);
      if (writable !== undefined) request(count++, writable, WRITABLE);
      if (deadline !== undefined) timeoutNs = Math.min(timeoutNs, nanosecondsUntil(deadline));
    }
    if (count === start && source.ready()) timeoutNs = 0;
    ends.push(count);
  }
  if (timeoutNs === Number.POSITIVE_INFINITY) {
    if (count === 0) throw new Error("the component waits for something that can never happen");
    timeoutNs = -1;
  }
  if (count > 0 || timeoutNs > 0) native.pollAll(pairs, count, Math.min(timeoutNs, longestNs));
  const ready: number[] = [];
  let at = 0;
  for (const [index, source] of sources.entries()) {
    const end = ends[index] ?? at;
    const polls = end > at;
    let polled = false;
    for (; at < end; at++) if (pairs[2 * at + 1] !== 0) polled = true;
    if (polls ? source.ready(polled) : source.ready()) ready.push(index);
  }
  if (wait && ready.length === 0) nextMadeUp(sources)?.moveTo();
  return ready;
}

/** Nothing is ready, and whoever waits for clocks that are made up need not. */
function nextMadeUp(sources: readonly Source[]): Source["madeUp"] {
  let next: Source["madeUp"];
  for (const { madeUp } of sources)
    if (madeUp !== undefined && (next === undefined || madeUp.mark < next.mark)) next = madeUp;
  return next;
}

function request(at: number, fd: number, events: number): void {
  if (2 * at >= pairs.length) {
    const more = new Int32Array(2 * pairs.length);
    more.set(pairs);
    pairs = more;
  }
  pairs[2 * at] = fd;
  pairs[2 * at + 1] = events;
}

function nanosecondsUntil(deadline: bigint): number {
  return Math.max(0, Number(deadline - monotonicNow()));
}
