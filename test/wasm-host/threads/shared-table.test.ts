import { closeSync, fstatSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createSharedTable, SharedTable } from "../../../wasm-host/threads/shared-table.ts";
import { Descriptor, DescriptorTable } from "../../../wasm-host/wasi/p1/descriptor.ts";
import { emptyGrant } from "../wasi/p1/guest.ts";

const BADF = 8;
const test = suite<{ path: string }>("shared table");

test.before.each((context) => {
  context.path = join(mkdtempSync(join(tmpdir(), "tandem-table-")), "file");
  writeFileSync(context.path, "");
});
test.after.each((context) => rmSync(join(context.path, ".."), { recursive: true }));

function describe(path: string): Descriptor {
  return new Descriptor({ fd: openSync(path, "r"), type: 4, base: 0b1111, inheriting: 0b11, flags: 1 });
}

function isOpen(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch (error) {
    assert.is((error as NodeJS.ErrnoException).code, "EBADF");
    return false;
  }
}

/** As two threads see one table. */
function twoThreads(): [SharedTable, SharedTable] {
  const memory = createSharedTable(emptyGrant);
  return [new SharedTable(memory, emptyGrant), new SharedTable(memory, emptyGrant)];
}

test("what the grant gives has the numbers that it has without threads", () => {
  const fd = openSync("/", "r");
  try {
    const grant = { ...emptyGrant, preopens: [{ fd, guestPath: "/data", readonly: true }] };
    const table = new SharedTable(createSharedTable(grant), grant);
    const { base, inheriting } = new DescriptorTable(grant).get(3) ?? {};
    const { fd: found, readonly, preopen, ...seen } = pick(table.get(3));
    assert.equal([found, readonly, String(preopen)], [fd, true, "/data"]);
    assert.equal(seen, { type: 3, base, inheriting, flags: 0 });
    assert.is(table.get(4), undefined);
    assert.is(table.get(-1), undefined);
  } finally {
    closeSync(fd);
  }
});

function pick(one: Descriptor | undefined) {
  const { fd, type, base, inheriting, flags, readonly, preopen } = one as Descriptor;
  return { fd, type, base, inheriting, flags, readonly, preopen };
}

test("what one thread changes, another sees; rights only shrink", ({ path }) => {
  const [one, other] = twoThreads();
  const number = one.add(describe(path));
  const [mine, theirs] = [one.get(number), other.get(number)] as [Descriptor, Descriptor];
  mine.flags = 5;
  mine.base = 0b0110;
  theirs.base = 0b1100;
  assert.equal([theirs.flags, mine.base, theirs.base], [5, 0b0100, 0b0100]);
  one.release();
  other.release();
  assert.is(one.close(number), 0);
});

test("a descriptor that a call is using stays open until that call is over", ({ path }) => {
  const [one, other] = twoThreads();
  const number = one.add(describe(path));
  const fd = one.get(number)?.fd ?? -1;
  assert.ok(other.get(number) !== undefined);
  assert.is(other.close(number), 0);
  assert.is(one.get(number), undefined, "its number is gone at once");
  assert.ok(isOpen(fd), "but not what it stood for");
  assert.is(other.add(describe(path)), number, "and may be given away again");
  assert.ok(other.get(number)?.fd !== fd);
  one.release();
  other.release();
  assert.not.ok(isOpen(fd));
  assert.is(one.close(number), 0);
  assert.is(one.close(number), BADF);
});

test("it does what a table without threads does", async ({ path }) => {
  const action = fc.tuple(fc.constantFrom("add", "close", "renumber"), fc.nat(9), fc.nat(9));
  await fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const [shared] = twoThreads();
      const plain = new DescriptorTable(emptyGrant);
      const opened: number[] = [];
      for (const [what, first, second] of actions) {
        if (what === "add") {
          const descriptors = [describe(path), describe(path)] as const;
          opened.push(...descriptors.map(({ fd }) => fd));
          assert.is(shared.add(descriptors[0]), plain.add(descriptors[1]));
        } else {
          const [from, to] = [first + 3, second + 3];
          const [source, target] = [plain.get(from), plain.get(to)];
          assert.is(shared.get(from) === undefined, source === undefined);
          if (source === undefined || target === undefined) continue;
          if (what === "close") assert.is(shared.close(from), plain.close(from, source));
          else assert.is(shared.renumber(from, to), plain.renumber(from, to, { from: source, to: target }));
          shared.release();
        }
      }
      for (let number = 3; number < 50; number++) {
        const left = plain.get(number);
        assert.is(shared.get(number) === undefined, left === undefined);
        shared.release();
        if (left === undefined) continue;
        shared.close(number);
        plain.close(number, left);
      }
      assert.equal(opened.filter(isOpen), []);
    }),
    { numRuns: 50 },
  );
});

test.run();
