import { done, err, ok, type Result } from "../wasi/p2/result.ts";
import type { AddressFamily } from "./address.ts";
import { errorCodeFrom, type NetworkErrorCode } from "./error-code.ts";
import type { OptionStore } from "./option-store.ts";
import { type SocketOption, socketOption } from "./socket-option.ts";

type Outcome<T> = Result<T, NetworkErrorCode>;

const invalid = err<NetworkErrorCode>("invalid-argument");
const nanosecondsPerSecond = 1_000_000_000n;

/** What Linux takes at most: MAX_TCP_KEEPIDLE and the like of net/tcp.h. */
const longestKeepAliveSeconds = 32_767n;
const mostKeepAliveProbes = 127;
const largestBuffer = 0x3fff_ffffn;

/**
 * The options of wasi:sockets, the same in 0.2 and 0.3. A value of 0 is `invalid-argument`; others are silently brought into the
 * kernel's bounds. Times are nanoseconds.
 */
export class SocketOptions {
  readonly #store: OptionStore;
  readonly #hopLimit: SocketOption;

  constructor(store: OptionStore, family: AddressFamily) {
    this.#store = store;
    this.#hopLimit = family === "ipv4" ? socketOption.hopLimitIpv4 : socketOption.hopLimitIpv6;
  }

  keepAliveEnabled(): Outcome<boolean> {
    return this.#get(socketOption.keepAlive, (value) => value !== 0);
  }

  setKeepAliveEnabled(value: boolean): Outcome<undefined> {
    return this.#set(socketOption.keepAlive, value ? 1 : 0);
  }

  keepAliveIdleTime(): Outcome<bigint> {
    return this.#get(socketOption.keepAliveIdleSeconds, nanosecondsFrom);
  }

  setKeepAliveIdleTime(value: bigint): Outcome<undefined> {
    return value === 0n ? invalid : this.#set(socketOption.keepAliveIdleSeconds, secondsFrom(value));
  }

  keepAliveInterval(): Outcome<bigint> {
    return this.#get(socketOption.keepAliveIntervalSeconds, nanosecondsFrom);
  }

  setKeepAliveInterval(value: bigint): Outcome<undefined> {
    return value === 0n ? invalid : this.#set(socketOption.keepAliveIntervalSeconds, secondsFrom(value));
  }

  keepAliveCount(): Outcome<number> {
    return this.#get(socketOption.keepAliveCount, (value) => value);
  }

  setKeepAliveCount(value: number): Outcome<undefined> {
    return value === 0
      ? invalid
      : this.#set(socketOption.keepAliveCount, Math.min(value, mostKeepAliveProbes));
  }

  hopLimit(): Outcome<number> {
    return this.#get(this.#hopLimit, (value) => value);
  }

  setHopLimit(value: number): Outcome<undefined> {
    return value === 0 ? invalid : this.#set(this.#hopLimit, value);
  }

  receiveBufferSize(): Outcome<bigint> {
    return this.#get(socketOption.receiveBuffer, withoutOverhead);
  }

  setReceiveBufferSize(value: bigint): Outcome<undefined> {
    return value === 0n ? invalid : this.#set(socketOption.receiveBuffer, bufferFrom(value));
  }

  sendBufferSize(): Outcome<bigint> {
    return this.#get(socketOption.sendBuffer, withoutOverhead);
  }

  setSendBufferSize(value: bigint): Outcome<undefined> {
    return value === 0n ? invalid : this.#set(socketOption.sendBuffer, bufferFrom(value));
  }

  #get<T>(option: SocketOption, convert: (value: number) => T): Outcome<T> {
    const value = this.#store.get(option);
    return value < 0 ? err(errorCodeFrom(value)) : ok(convert(value));
  }

  #set(option: SocketOption, value: number): Outcome<undefined> {
    const result = this.#store.set(option, value);
    return result < 0 ? err(errorCodeFrom(result)) : done;
  }
}

function nanosecondsFrom(seconds: number): bigint {
  return BigInt(seconds) * nanosecondsPerSecond;
}

/** Rounded up: 0 would mean the kernel's default. */
function secondsFrom(nanoseconds: bigint): number {
  const seconds = (nanoseconds + nanosecondsPerSecond - 1n) / nanosecondsPerSecond;
  return Number(seconds < longestKeepAliveSeconds ? seconds : longestKeepAliveSeconds);
}

/** Linux doubles what it is told, for its own bookkeeping, and tells the double (socket(7)). */
function withoutOverhead(size: number): bigint {
  return BigInt(size >> 1);
}

function bufferFrom(size: bigint): number {
  return Number(size < largestBuffer ? size : largestBuffer);
}
