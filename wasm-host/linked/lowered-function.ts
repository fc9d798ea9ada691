import type { LoweredFunction } from "../../src/image/link/plan.ts";
import type { Codec, CoreValue } from "./codec.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { HostFunction } from "./host-function.ts";
import { type Codecs, passingBytesCodec, tupleCodec } from "./make-codecs.ts";

/** CanonicalABI.md: more core values than these go through memory. */
const maxFlatParams = 16;
const maxFlatResults = 1;

/** How the arguments and the result of an imported function are passed. */
export interface Passing {
  /** Whether the result is written where the last argument says. */
  readonly resultInMemory: boolean;
  readonly result: Codec | undefined;
  lift(memory: GuestMemory, values: readonly CoreValue[]): unknown[];
  /** Where the result is to be written. */
  resultPlace(values: readonly CoreValue[]): number;
}

/** Functions that copy the bytes they are given before they return or wait. */
const copiesBytes: ReadonlySet<string> = new Set([
  "[method]output-stream.write",
  "[method]output-stream.blocking-write-and-flush",
]);

export function passingOf(fn: LoweredFunction, codecs: Codecs): Passing {
  const passesBytes = fn.interface === "wasi:io/streams" && copiesBytes.has(fn.name);
  const params = fn.params.map((ref) => codecs.of(ref));
  if (passesBytes) params[1] = passingBytesCodec;
  const flatCount = params.reduce((count, codec) => count + codec.flat.length, 0);
  const result = fn.result === null ? undefined : codecs.of(fn.result);
  const throughMemory = flatCount > maxFlatParams;
  return {
    result,
    resultInMemory: result !== undefined && result.flat.length > maxFlatResults,
    lift: throughMemory ? liftFromMemory(params) : liftFlat(params),
    resultPlace: (values) => Number(values[throughMemory ? 1 : flatCount]) >>> 0,
  };
}

function liftFlat(params: readonly Codec[]): Passing["lift"] {
  const places: number[] = [];
  let next = 0;
  for (const { flat } of params) {
    places.push(next);
    next += flat.length;
  }
  return (memory, values) => params.map((codec, index) => codec.lift(memory, values, places[index] ?? 0));
}

function liftFromMemory(params: readonly Codec[]): Passing["lift"] {
  const tuple = tupleCodec(params);
  return (memory, values) => {
    const at = Number(values[0]) >>> 0;
    memory.check(at, 1, tuple);
    return tuple.load(memory, at) as unknown[];
  };
}

/** What a lowered function says to the instance that it is called by. */
export interface Caller {
  /** The host runs. Returns what `leaveHost` is to be told. @throws a trap unless the guest may call out: while it allocates, it may not. */
  enterHost(): boolean;
  /** The guest goes on. */
  leaveHost(inside: boolean): void;
  /** Ends the guest for this reason, from within a call of it. */
  fail(error: unknown): never;
  /** The guest waits: resolves with what `finish` makes of the result; when that cannot be, the guest has failed and never goes on. */
  suspend<T>(result: Promise<unknown>, finish: (value: unknown) => T): Promise<T>;
}

type CoreFunction = (...values: CoreValue[]) => CoreValue | undefined;
type SuspendingFunction = (...values: CoreValue[]) => CoreValue | undefined | Promise<CoreValue | undefined>;

export interface Binding {
  readonly passing: Passing;
  readonly host: HostFunction;
  readonly memory: GuestMemory;
  readonly caller: Caller;
}

/** The host's function as a core module imports it. */
export function bindFunction({ passing, host, memory, caller }: Binding): CoreFunction {
  const finish = finisher(passing, memory);
  return (...values) => {
    const inside = caller.enterHost();
    try {
      return finish(host(passing.lift(memory, values)), values);
    } catch (error) {
      return caller.fail(error);
    } finally {
      caller.leaveHost(inside);
    }
  };
}

/** The same, for one that may have the guest wait. */
export function bindSuspending({ passing, host, memory, caller }: Binding): SuspendingFunction {
  const finish = finisher(passing, memory);
  return (...values) => {
    const inside = caller.enterHost();
    try {
      const result = host(passing.lift(memory, values));
      return result instanceof Promise
        ? caller.suspend(result, (value) => finish(value, values))
        : finish(result, values);
    } catch (error) {
      return caller.fail(error);
    } finally {
      caller.leaveHost(inside);
    }
  };
}

type Finish = (result: unknown, values: readonly CoreValue[]) => CoreValue | undefined;

function finisher({ result, resultInMemory, resultPlace }: Passing, memory: GuestMemory): Finish {
  if (result === undefined) return () => undefined;
  if (!resultInMemory) return (value) => result.lower(memory, value);
  return (value, values) => {
    const at = resultPlace(values);
    memory.check(at, 1, result);
    result.store(memory, at, value);
    return undefined;
  };
}
