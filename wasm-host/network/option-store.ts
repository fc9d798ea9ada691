import { native } from "../../src/native.ts";
import { type SocketOption, socketOption } from "./socket-option.ts";

/** Where the options of a socket are kept: its descriptor, as a rule. */
export interface OptionStore {
  /** The value, or minus an errno. */
  get(option: SocketOption): number;
  /** 0, or minus an errno. */
  set(option: SocketOption, value: number): number;
}

export function kernelOptions(fd: number): OptionStore {
  return {
    get: (option) => native.socketOption(fd, option),
    set: (option, value) => native.socketSetOption(fd, option, value),
  };
}

/** The options of a socket that only this process knows: what Linux says of a new one (tcp(7), udp(7), ip(7)) until they are set. */
export function rememberedOptions(): OptionStore {
  const values = new Map<SocketOption, number>(defaults);
  return {
    get: (option) => values.get(option) ?? 0,
    set: (option, value) => {
      values.set(option, buffers.has(option) ? Math.max(2 * value, smallestBuffer) : value);
      return 0;
    },
  };
}

const buffers = new Set<SocketOption>([socketOption.receiveBuffer, socketOption.sendBuffer]);

/** SOCK_MIN_SNDBUF, which is more than SOCK_MIN_RCVBUF (socket(7): the doubled values). */
const smallestBuffer = 4608;

const defaults: readonly (readonly [SocketOption, number])[] = [
  [socketOption.keepAliveIdleSeconds, 7200],
  [socketOption.keepAliveIntervalSeconds, 75],
  [socketOption.keepAliveCount, 9],
  [socketOption.hopLimitIpv4, 64],
  [socketOption.hopLimitIpv6, 64],
  [socketOption.receiveBuffer, 212_992],
  [socketOption.sendBuffer, 212_992],
];
