import { parse } from "@bytecodealliance/jco";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readModuleSizes } from "../../../src/wasm-binary/module-sizes.ts";
import { planEngineLimits } from "../../../wasm-host/limits/engine-limits.ts";
import { InstanceShare } from "../../../wasm-host/limits/instance-share.ts";
import { LimitReached } from "../../../wasm-host/limits/limit-reached.ts";

const test = suite("engine limits");
const PAGE = 65_536;

const pagesOf = async (memoryBytes: number, ...texts: string[]): Promise<bigint | undefined> => {
  const modules = await Promise.all(texts.map((text) => parse(text)));
  return planEngineLimits({ memoryBytes }, modules, { imports: true }).memoryPages;
};

async function refuses(memoryBytes: number, message: RegExp, ...texts: string[]): Promise<void> {
  try {
    await pagesOf(memoryBytes, ...texts);
  } catch (error) {
    assert.ok(error instanceof LimitReached);
    assert.is(error.limit, "memoryBytes");
    assert.match(error.message, message);
    return;
  }
  assert.unreachable("nothing is refused");
}

test("sizes are read of memories and tables of every kind", async () => {
  const bytes = await parse(`(module
    (type $s (struct (field i32)))
    (memory 1 2) (memory i64 3)
    (table 4 funcref) (table 5 6 externref) (table i64 7 funcref)
    (table 8 (ref $s) (struct.new $s (i32.const 300)))
    (table 9 (ref null $s) (ref.null $s)))`);
  const { memories, tables } = readModuleSizes(bytes);
  const show = (sizes: typeof memories) => sizes.map(({ initial, maximum }) => [initial, maximum]);
  assert.equal(show(memories), [
    [1n, 2n],
    [3n, undefined],
  ]);
  assert.equal(show(tables), [
    [4n, undefined],
    [5n, 6n],
    [7n, undefined],
    [8n, undefined],
    [9n, undefined],
  ]);
});

test("one memory may have all, and what is less than a page is none", async () => {
  assert.is(await pagesOf(10 * PAGE, "(module (memory 1))"), 10n);
  assert.is(await pagesOf(10 * PAGE + 1, "(module (memory 10))"), 10n);
  assert.is(await pagesOf(0, "(module)"), 0n);
});

test("several have what is left in equal shares, and none more than its own maximum", async () => {
  assert.is(await pagesOf(10 * PAGE, "(module (memory 1) (memory 1))"), 5n);
  assert.is(await pagesOf(10 * PAGE, "(module (memory 1) (memory 2 2))"), 8n);
  assert.is(await pagesOf(10 * PAGE, "(module (memory 1 3))", "(module (memory 1 3))"), 10n);
  assert.is(await pagesOf(10 * PAGE, '(module (import "a" "b" (memory 1 100 shared)) (memory 1))'), 5n);
});

test("who begins with more is refused, and who could come to more", async () => {
  await refuses(PAGE - 1, /it begins with 65536 bytes of memory, 65535 may be/, "(module (memory 1))");
  await refuses(3 * PAGE, /it begins with 262144 bytes/, "(module (memory 2))", "(module (memory i64 2))");
  await refuses(
    10 * PAGE,
    /its 2 memories, one of 393216 bytes, could grow/,
    "(module (memory 6) (memory 1))",
  );
});

test("without a limit nothing is looked at", () => {
  const { memoryPages, tableElements } = planEngineLimits({}, [Uint8Array.of(1)], { imports: true });
  assert.equal([memoryPages, tableElements], [undefined, undefined]);
});

test("tables have theirs", async () => {
  const bytes = await parse("(module (table 4 funcref) (table 2 2 funcref))");
  const plan = (tableElements: number) => planEngineLimits({ tableElements }, [bytes], { imports: false });
  assert.is(plan(10).tableElements, 8n);
  assert.throws(() => plan(5), /max-table-elements: it begins with 6 elements of tables, 5 may be/);
});

test("a module that a component instantiates again counts again", async () => {
  const [one, other] = await Promise.all(
    ["(module (memory 3))", "(module (memory 2))"].map((text) => parse(text)),
  );
  if (one === undefined || other === undefined) throw new Error("no modules");
  const modules = new Map([one, other].map((bytes) => [new WebAssembly.Module(bytes), bytes]));
  const [first, second] = [...modules.keys()];
  if (first === undefined || second === undefined) throw new Error("no modules");
  const share = new InstanceShare({ memoryBytes: 8 * PAGE }, modules);
  share.add(first);
  share.add(second);
  const { limit } = thrownBy(() => share.add(first));
  assert.is(limit, "memoryBytes");
});

function thrownBy(action: () => void): LimitReached {
  try {
    action();
  } catch (error) {
    if (error instanceof LimitReached) return error;
    throw error;
  }
  throw new Error("nothing is thrown");
}

test.run();
