import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createThreadSlots, MAX_THREADS, ThreadSlots } from "../../../wasm-host/threads/thread-slots.ts";

const test = suite("thread slots");

test("a place for each thread until there are as many as there may be", () => {
  const slots = new ThreadSlots(createThreadSlots());
  const identifiers = new Set<number>();
  for (let index = 0; index < MAX_THREADS; index++) {
    const place = slots.take(index * 16);
    assert.equal(
      { ...place, identifier: 0 },
      { identifier: 0, argument: index * 16, slot: index, isNew: true },
    );
    identifiers.add(place?.identifier ?? 0);
  }
  assert.is(identifiers.size, MAX_THREADS);
  assert.ok([...identifiers].every((one) => one > 0 && one < 2 ** 29));
  assert.is(slots.take(0), undefined);
  slots.giveBack(7);
  assert.is(slots.take(1)?.slot, 7);
});

test("identifiers go round, past those that are in use", () => {
  const memory = createThreadSlots();
  const slots = new ThreadSlots(memory);
  assert.is(slots.take(0)?.identifier, 1);
  new Int32Array(memory)[1] = 2 ** 29 - 2;
  assert.is(slots.take(0)?.identifier, 2 ** 29 - 1);
  assert.is(slots.take(0)?.identifier, 2);
});

test.run();
