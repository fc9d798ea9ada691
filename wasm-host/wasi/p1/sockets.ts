import { native } from "../../../src/native.ts";
import { clockOf } from "../../deterministic/made-up-clock.ts";
import { usage } from "../../limits/usage.ts";
import { Descriptor, fdFlags, fileTypes } from "./descriptor.ts";
import { errno } from "./errno.ts";
import { guarded, viewOf } from "./little-endian.ts";
import { pollMadeUp } from "./made-up-poll.ts";
import { refusal } from "./refusal.ts";
import { rights, rightsOf } from "./rights.ts";
import type { State } from "./state.ts";

const accepted = new Int32Array(1);

/** sock_* and poll_oneoff. */
export function socketImports(state: State) {
  const { table } = state;
  const clock = clockOf(state.grant.clocks);
  const socket = (fd: number, right: number): Descriptor | number => {
    const file = table.get(fd);
    if (file !== undefined && file.type !== fileTypes.stream && file.type !== fileTypes.datagram)
      return errno.notsock;
    return file === undefined || (file.base & right) === 0 ? refusal(file) : file;
  };
  return {
    sock_accept: (fd: number, flags: number, result: number) => {
      const listener = socket(fd, rights.sockAccept);
      if (typeof listener === "number") return listener;
      return guarded(() => {
        const view = viewOf(state);
        view.getUint32(result >>> 0, true);
        usage.open();
        const failure = native.wasiAccept(listener.fd, listener.flags, accepted);
        if (failure !== 0) {
          usage.closed();
          return failure;
        }
        const { socket: base } = rightsOf;
        const kept = { flags: flags & fdFlags.nonblock, counted: true };
        const options = { type: fileTypes.stream, base, inheriting: 0, ...kept };
        view.setUint32(result >>> 0, table.add(new Descriptor({ fd: accepted[0] ?? -1, ...options })), true);
        return 0;
      });
    },
    sock_recv: (
      fd: number,
      iovecs: number,
      count: number,
      flags: number,
      result: number,
      resultFlags: number,
    ) => {
      const file = socket(fd, rights.fdRead);
      if (typeof file === "number") return file;
      return native.wasiReceive(
        state.bytes(),
        file.fd,
        file.flags,
        iovecs,
        count,
        flags,
        result,
        resultFlags,
      );
    },
    sock_send: (fd: number, iovecs: number, count: number, flags: number, result: number) => {
      const file = socket(fd, rights.fdWrite);
      if (typeof file === "number") return file;
      // WASI defines no flags for sending.
      if (flags !== 0) return errno.inval;
      const left = state.outputLeft(file.fd);
      return state.written(
        left,
        native.wasiSend(state.bytes(), file.fd, file.flags, iovecs, count, result, left),
      );
    },
    sock_shutdown: (fd: number, how: number) => {
      const file = socket(fd, rights.sockShutdown);
      return typeof file === "number" ? file : native.wasiShutdown(file.fd, how);
    },
    poll_oneoff: (subscriptions: number, events: number, count: number, result: number) =>
      guarded(() => {
        const unstable = Number(state.unstable);
        const fds = subscribedFds(state, subscriptions >>> 0, count >>> 0);
        if (clock !== undefined && count !== 0)
          return pollMadeUp(state, clock, {
            ...{ subscriptions: subscriptions >>> 0, events: events >>> 0, result: result >>> 0 },
            ...{ count: count >>> 0, fds },
          });
        return native.wasiPoll(state.bytes(), subscriptions, events, count, unstable, fds, result);
      }),
  };
}

/** Linux's EBADF, which wasiPoll turns into WASI's with the rest. */
const EBADF = 9;
const EVENT_CLOCK = 0;

/** The kernel's descriptor of each subscription; a negative errno where the guest has no such descriptor. */
function subscribedFds(state: State, subscriptions: number, count: number): Int32Array {
  const size = state.unstable ? 56 : 48;
  const view = viewOf(state);
  // Before anything is allocated, the whole list must lie in the guest's memory.
  if (count > 0) view.getUint8(subscriptions + count * size - 1);
  const fds = new Int32Array(count).fill(-EBADF);
  for (let index = 0; index < count; index++) {
    const at = subscriptions + index * size;
    // Another thread may make another kind of it afterwards: then it is no descriptor's.
    if (view.getUint8(at + 8) === EVENT_CLOCK) continue;
    fds[index] = state.table.get(view.getUint32(at + 16, true))?.fd ?? -EBADF;
  }
  return fds;
}
