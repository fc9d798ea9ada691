import { clockOf, type MadeUpClock } from "../../deterministic/made-up-clock.ts";
import { generatorOf, type SeededGenerator } from "../../deterministic/seeded-random.ts";
import { errno } from "./errno.ts";
import { guarded, viewOf } from "./little-endian.ts";
import type { State } from "./state.ts";

const [REALTIME, THREAD_TIME] = [0, 3];

/** Functions in place of those of `processImports`, where the grant makes up clocks or seeds the generator. */
export function deterministicImports(state: State): WebAssembly.ModuleImports {
  const clock = clockOf(state.grant.clocks);
  const generator = generatorOf(state.grant.random);
  return {
    ...(clock === undefined ? {} : madeUpClocks(state, clock)),
    ...(generator === undefined ? {} : seededRandom(state, generator)),
  };
}

/** Processor time is told by the made-up monotonic clock, too: the real one differs from run to run. */
function madeUpClocks(state: State, clock: MadeUpClock) {
  const store = (id: number, result: number, value: () => bigint): number => {
    if (id >>> 0 > THREAD_TIME) return errno.inval;
    return guarded(() => {
      viewOf(state).setBigUint64(result >>> 0, value(), true);
      return errno.success;
    });
  };
  return {
    clock_res_get: (id: number, result: number) => store(id, result, () => clock.resolution),
    clock_time_get: (id: number, _precision: bigint, result: number) =>
      store(id, result, () => (id === REALTIME ? clock.readWall() : clock.readMonotonic())),
  };
}

function seededRandom(state: State, generator: SeededGenerator) {
  return {
    random_get: (buffer: number, length: number) =>
      guarded(() => {
        generator.fill(new Uint8Array(state.bytes().buffer, buffer >>> 0, length >>> 0));
        return errno.success;
      }),
  };
}

const [ATIME, ATIME_NOW, MTIME, MTIME_NOW] = [1, 2, 4, 8];

/** Times to set of a file, as the calls of WASI 0.1 take them. */
export type TimesToSet = readonly [accessed: bigint, modified: bigint, flags: number];

/** What is to be set to the present gets the wall clock's, if that is made up. */
export function presentTimes(state: State, [accessed, modified, flags]: TimesToSet): TimesToSet {
  const clock = clockOf(state.grant.clocks);
  if (clock === undefined || (flags & (ATIME_NOW | MTIME_NOW)) === 0) return [accessed, modified, flags];
  // Both at once is refused below.
  const isPresent = (set: number, now: number): boolean => (flags & (set | now)) === now;
  const present = clock.readWall();
  return [
    isPresent(ATIME, ATIME_NOW) ? present : accessed,
    isPresent(MTIME, MTIME_NOW) ? present : modified,
    flags ^
      (isPresent(ATIME, ATIME_NOW) ? ATIME | ATIME_NOW : 0) ^
      (isPresent(MTIME, MTIME_NOW) ? MTIME | MTIME_NOW : 0),
  ];
}
