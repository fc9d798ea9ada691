import * as assert from "uvu/assert";
import type { Guest } from "./guest.ts";

/** A subscription of poll_oneoff. */
export interface Subscription {
  readonly userdata: bigint;
  readonly clock?: { readonly id: number; readonly timeout: bigint; readonly absolute?: boolean };
  readonly read?: number;
  readonly write?: number;
}

/** poll_oneoff: its errno, and of each event userdata, errno and type. */
export function poll(
  guest: Guest,
  subscriptions: readonly Subscription[],
): { error: number; events: [bigint, number, number][] } {
  const at = guest.alloc(48 * subscriptions.length);
  for (const [index, { userdata, clock, read, write }] of subscriptions.entries()) {
    const base = at + index * 48;
    guest.view.setBigUint64(base, userdata, true);
    guest.view.setUint8(base + 8, clock !== undefined ? 0 : read !== undefined ? 1 : 2);
    guest.view.setUint32(base + 16, clock?.id ?? read ?? write ?? 0, true);
    guest.view.setBigUint64(base + 24, clock?.timeout ?? 0n, true);
    guest.view.setUint16(base + 40, clock?.absolute ? 1 : 0, true);
  }
  const out = guest.alloc(32 * subscriptions.length);
  const count = guest.alloc(4);
  const error = guest.call("poll_oneoff", at, out, subscriptions.length, count);
  const events = Array.from({ length: error === 0 ? guest.view.getUint32(count, true) : 0 }, (_, index) => {
    const base = out + index * 32;
    return [
      guest.view.getBigUint64(base, true),
      guest.view.getUint16(base + 8, true),
      guest.view.getUint8(base + 10),
    ] as [bigint, number, number];
  });
  return { error, events };
}

/** clock_time_get */
export function now(guest: Guest, id: number): bigint {
  const result = guest.alloc(8);
  assert.is(guest.call("clock_time_get", id, 1n, result), 0);
  return guest.view.getBigUint64(result, true);
}
