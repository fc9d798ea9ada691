import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/native.ts";
import { Spares } from "../../src/zygote/spares.ts";

const spares = suite("spares");

/** asm-generic/resource.h */
const RLIMIT_NOFILE = 7;

spares("a spare that the kernel refuses is not tried again at once, and the zygote goes on", () => {
  const kinds = new Map([["shim", { newPid: false, pages: Buffer.alloc(0) }]]);
  const pool = new Spares(kinds, {});
  assert.is(pool.isFull, false);
  native.setResourceLimit(native.getpid(), RLIMIT_NOFILE, 3n, 1024n);
  try {
    assert.is(
      pool.refill(() => undefined),
      false,
    );
  } finally {
    native.setResourceLimit(native.getpid(), RLIMIT_NOFILE, 1024n, 1024n);
  }
  assert.is(pool.isFull, true);
  assert.is(pool.take("shim", Buffer.from("request"), []), undefined);
});

spares.run();
