import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LimitReached } from "../../../wasm-host/limits/limit-reached.ts";
import { Usage } from "../../../wasm-host/limits/usage.ts";

const test = suite("usage");

function begun(limits: Parameters<Usage["begin"]>[0]["limits"]): Usage {
  const usage = new Usage();
  usage.begin({ limits });
  return usage;
}

test("without limits nothing is counted", () => {
  const usage = begun(undefined);
  for (let count = 0; count < 100; count++) {
    usage.open();
    usage.instantiate();
    usage.instantiateInComponent(count);
  }
  assert.is(usage.outputLeft, undefined);
  usage.checkOutput();
});

test("what is closed makes room", () => {
  const usage = begun({ openFiles: 2 });
  usage.open();
  usage.open();
  assert.throws(() => usage.open(), /max-open-files: more than 2 descriptors/);
  usage.closed();
  usage.open();
  assert.throws(
    () => usage.open(),
    (error: unknown) => error instanceof LimitReached,
  );
});

test("threads count together", () => {
  const [mine, theirs] = [begun({ instances: 2 }), new Usage()];
  theirs.begin({ limits: { instances: 2 }, cells: mine.cells });
  mine.instantiate();
  theirs.instantiate();
  assert.throws(() => mine.instantiate(), /max-instances: more than 2 instances/);
  theirs.dropped();
  mine.instantiate();
});

test("of output as much is written as may be", () => {
  const usage = begun({ outputBytes: 5 });
  const written: string[] = [];
  const write = (text: string): void =>
    usage.output(Buffer.from(text), (bytes) => {
      written.push(Buffer.from(bytes).toString());
    });
  write("abc");
  write("de");
  assert.throws(() => write("f"), /max-output: more than 5 bytes/);
  assert.equal(written, ["abc", "de", ""]);
  const half = begun({ outputBytes: 1 });
  assert.throws(() =>
    half.output(Buffer.from("xyz"), (bytes) => written.push(Buffer.from(bytes).toString())),
  );
  assert.is(written.at(-1), "x");
});

test("whoever is told of it decides how the guest ends", () => {
  const usage = begun({ openFiles: 0 });
  usage.onReached(({ limit }) => {
    throw new Error(`ended by ${limit}`);
  });
  assert.throws(() => usage.open(), /ended by openFiles/);
});

test.run();
