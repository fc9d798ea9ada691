import { closeSync, statSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../../../src/native.ts";
import { usage } from "../../../../wasm-host/limits/usage.ts";
import { Guest, Sandbox } from "./guest.ts";
import { now, poll } from "./poll.ts";

const test = suite("wasi p1, deterministic and limited");
const [REALTIME, MONOTONIC, PROCESS_TIME] = [0, 1, 2];
const [INVAL, NOTSUP, FAULT, BADF] = [28, 58, 21, 8];
const second = 1_000_000_000n;
const clocks = { startMs: 5_000, stepNs: 10 };
const made = (): Guest => new Guest({ grant: { clocks: { ...clocks } } });

function open(guest: Guest, path: string): number {
  const [error, fd] = guest.open(path, { oflags: 1 });
  assert.is(error, 0);
  return fd;
}

test.after.each(() => usage.begin({ limits: undefined }));

test("each reading moves every clock on", () => {
  const guest = made();
  assert.equal(
    [now(guest, MONOTONIC), now(guest, REALTIME), now(guest, PROCESS_TIME)],
    [10n, 5n * second + 20n, 30n],
  );
  const result = guest.alloc(8);
  assert.equal(
    [guest.call("clock_time_get", 4, 1n, result), guest.call("clock_res_get", 9, result)],
    [INVAL, INVAL],
  );
  assert.is(guest.call("clock_time_get", MONOTONIC, 1n, 0xfffffffe), FAULT);
  assert.is(guest.call("clock_res_get", MONOTONIC, result), 0);
  assert.is(guest.view.getBigUint64(result, true), 10n);
});

test("a wait takes no time: the first timer is due, relative or absolute", () => {
  const guest = made();
  const hour = 3600n * second;
  const { error, events } = poll(guest, [
    { userdata: 1n, clock: { id: MONOTONIC, timeout: 2n * hour } },
    { userdata: 2n, clock: { id: REALTIME, timeout: 5n * second + hour, absolute: true } },
    { userdata: 3n, clock: { id: MONOTONIC, timeout: hour } },
    { userdata: 4n, clock: { id: MONOTONIC, timeout: 2n ** 64n - 1n } },
  ]);
  assert.equal(
    [error, events],
    [
      0,
      [
        [2n, 0, 0],
        [3n, 0, 0],
      ],
    ],
  );
  assert.is(now(guest, MONOTONIC), hour + 10n);
});

test("a descriptor that is ready comes before time goes by", () => {
  const guest = made();
  const [reader, writer] = native.pipe();
  try {
    const stdio = new Guest({
      grant: { clocks: { ...clocks }, stdio: { stdin: reader, stdout: writer, stderr: writer } },
    });
    const subscriptions = [
      { userdata: 1n, read: 0 },
      { userdata: 2n, write: 1 },
      { userdata: 3n, clock: { id: MONOTONIC, timeout: second } },
    ];
    assert.equal(poll(stdio, subscriptions).events, [[2n, 0, 2]]);
    assert.is(now(stdio, MONOTONIC), 10n);
    // Nothing to read: then it does.
    assert.equal(poll(stdio, [subscriptions[0], subscriptions[2]] as typeof subscriptions).events, [
      [3n, 0, 0],
    ]);
    assert.is(now(stdio, MONOTONIC), second + 20n);
  } finally {
    closeSync(reader);
    closeSync(writer);
  }
  const wrong = [
    { userdata: 1n, clock: { id: PROCESS_TIME, timeout: 0n } },
    { userdata: 2n, read: 99 },
    { userdata: 3n, clock: { id: MONOTONIC, timeout: second } },
  ];
  assert.equal(poll(guest, wrong).events, [
    [1n, NOTSUP, 0],
    [2n, BADF, 1],
  ]);
});

test("random numbers are the seed's, wherever they go", () => {
  const guest = new Guest({ grant: { random: { seed: "00".repeat(32) } } });
  const at = guest.alloc(16);
  assert.is(guest.call("random_get", at, 3), 0);
  assert.is(guest.call("random_get", at + 3, 5), 0);
  assert.is(Buffer.from(guest.memory.buffer, at, 8).toString("hex"), "76b8e0ada0f13d90");
  assert.is(guest.call("random_get", 0xffff0000, 5), FAULT);
});

test("the present of a file is the made-up one", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest(".", { clocks: { ...clocks } });
  const file = open(guest, "file");
  const [ATIME_NOW, MTIME, MTIME_NOW] = [2, 4, 8];
  assert.is(guest.call("fd_filestat_set_times", file, 0n, 0n, ATIME_NOW | MTIME_NOW), 0);
  assert.is(Math.floor(statSync(join(sandbox.path, "file")).mtimeMs), 5000);
  assert.is(
    guest.call("path_filestat_set_times", 3, 0, ...guest.text("file"), 0n, 7n * second, ATIME_NOW | MTIME),
    0,
  );
  const { atimeMs, mtimeMs } = statSync(join(sandbox.path, "file"));
  assert.equal([Math.floor(atimeMs), mtimeMs], [5000, 7000]);
  assert.is(guest.call("fd_filestat_set_times", file, 0n, 0n, MTIME | MTIME_NOW), INVAL);
});

test("what is open is counted, whichever way it is closed", () => {
  using sandbox = new Sandbox();
  usage.begin({ limits: { openFiles: 2 } });
  const guest = sandbox.guest();
  const first = open(guest, "file");
  const other = open(guest, "file");
  const over = /limit reached: max-open-files: more than 2 descriptors/;
  assert.throws(() => open(guest, "file"), over);
  assert.is(guest.call("fd_renumber", other, first), 0);
  const third = open(guest, "file");
  assert.throws(() => open(guest, "file"), over);
  assert.is(guest.call("fd_close", third), 0);
  open(guest, "file");
});

test.run();
