import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Descriptor } from "../../../../wasm-host/wasi/p2/descriptor.ts";
import type { Files } from "../../../../wasm-host/wasi/p2/files.ts";
import { createNativeFiles } from "../../../../wasm-host/wasi/p2/native-files.ts";
import { OpenFile } from "../../../../wasm-host/wasi/p2/open-file.ts";
import { blocking } from "../../../../wasm-host/wasi/p2/waiting.ts";

const test = suite("open files");

/** Files that only say what is closed. */
function closing(closed: number[]): Files {
  return { ...createNativeFiles(), close: (fd) => closed.push(fd) };
}

function openDescriptor(fd: number, files: Files): Descriptor {
  return new Descriptor(fd, {
    flags: { read: true, write: true },
    mayChange: true,
    owned: true,
    host: { files, waiter: blocking },
  });
}

test("a file is closed when the last of its descriptor and its streams is dropped", () => {
  const closed: number[] = [];
  const descriptor = openDescriptor(0, closing(closed));
  const input = descriptor.readViaStream(0n);
  const output = descriptor.appendViaStream();
  descriptor[Symbol.dispose]();
  assert.equal(closed, []);
  if (input.tag === "err" || output.tag === "err") return assert.unreachable();
  input.val[Symbol.dispose]();
  assert.equal(closed, []);
  output.val[Symbol.dispose]();
  assert.equal(closed, [0]);
});

test("one that is somebody else's is not closed", () => {
  const open = new OpenFile(0, undefined);
  open.release();
  assert.is(open.fd, 0);
});

test("one that nobody has any more is closed, and once only", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const closed: number[] = [];
  const files = closing(closed);
  openDescriptor(3, files);
  openDescriptor(4, files)[Symbol.dispose]();
  const kept = openDescriptor(5, files);
  for (let left = 50; left > 0 && closed.length < 2; left--) {
    collect();
    await sleep(10);
  }
  assert.equal(closed.sort(), [3, 4]);
  kept[Symbol.dispose]();
  assert.equal(closed, [3, 4, 5]);
});

test.run();
