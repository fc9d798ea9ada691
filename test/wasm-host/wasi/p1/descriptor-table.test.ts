import { openSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Grant } from "../../../../wasm-host/grant.ts";
import { usage } from "../../../../wasm-host/limits/usage.ts";
import { createSharedTable, SharedTable } from "../../../../wasm-host/threads/shared-table.ts";
import { Descriptor, type Descriptors, DescriptorTable } from "../../../../wasm-host/wasi/p1/descriptor.ts";

const test = suite("descriptors of a guest");

const opened = (): number => openSync("/dev/null", "r+");
const grant = (): Grant => ({
  args: [],
  env: [],
  preopens: [],
  listeners: [],
  stdio: { stdin: opened(), stdout: opened(), stderr: opened() },
});

const tables: Readonly<Record<string, () => Descriptors>> = {
  "one thread": () => new DescriptorTable(grant()),
  "several threads": () => {
    const given = grant();
    return new SharedTable(createSharedTable(given), given);
  },
};

function open(table: Descriptors): number {
  usage.open();
  const base = { type: 2, base: 0, inheriting: 0, flags: 0 };
  return table.add(new Descriptor({ fd: opened(), ...base, counted: true }));
}

function close(table: Descriptors, number: number): void {
  const descriptor = table.get(number);
  if (descriptor === undefined) throw new Error(`${number} is not open`);
  assert.is(table.close(number, descriptor), 0);
}

for (const [name, make] of Object.entries(tables)) {
  test(`${name}: what the grant gave does not count, closed or not`, () => {
    const table = make();
    usage.begin({ limits: { openFiles: 2 } });
    close(table, 0);
    close(table, 1);
    const [first, second] = [open(table), open(table)];
    assert.throws(() => open(table), /more than 2 descriptors/);
    close(table, first);
    open(table);
    close(table, second);
    open(table);
    assert.throws(() => open(table), /more than 2 descriptors/);
    usage.begin({ limits: {} });
  });
}

test.run();
