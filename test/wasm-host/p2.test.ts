import { closeSync, writeSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/native.ts";
import { Fields } from "../../wasm-host/http/fields.ts";
import { OutgoingRequest } from "../../wasm-host/http/types.ts";
import { createClocks } from "../../wasm-host/wasi/p2/clocks.ts";
import {
  createDescriptorInput,
  createDescriptorOutput,
  discardingOutput,
  emptyInput,
} from "../../wasm-host/wasi/p2/descriptor-streams.ts";
import { guestClock } from "../../wasm-host/wasi/p2/guest-clock.ts";
import { createImports } from "../../wasm-host/wasi/p2/imports.ts";
import { createNativeFiles } from "../../wasm-host/wasi/p2/native-files.ts";
import { Pollable } from "../../wasm-host/wasi/p2/poll.ts";
import { InputStream, OutputStream } from "../../wasm-host/wasi/p2/streams.ts";
import { blocking, suspending, type Waiter } from "../../wasm-host/wasi/p2/waiting.ts";
import { Fields as Fields03 } from "../../wasm-host/wasi/p3/http/fields.ts";

const test = suite("p2");
const waiters: Readonly<Record<string, Waiter>> = { blocking, suspending };

interface MonotonicClock {
  subscribeDuration(duration: bigint): Pollable;
}

function subscribe(milliseconds: number, waiter: Waiter): Pollable {
  const clock = createClocks(guestClock(undefined), waiter)["wasi:clocks/monotonic-clock"] as MonotonicClock;
  return clock.subscribeDuration(BigInt(milliseconds) * 1_000_000n);
}

for (const [name, waiter] of Object.entries(waiters)) {
  test(`A duration is waited for, ${name}`, async () => {
    const started = performance.now();
    const pollable = subscribe(30, waiter);
    assert.is(pollable.ready(), false);
    await pollable.block();
    assert.ok(pollable.ready());
    assert.ok(performance.now() - started >= 30);
  });

  test(`Poll tells which one is ready first, ${name}`, async () => {
    const list = [subscribe(5_000, waiter), subscribe(20, waiter), subscribe(6_000, waiter)];
    assert.equal([...(await Pollable.poll(list))], [1]);
  });

  test(`A pipe and a clock are waited for together, ${name}`, async () => {
    const [reading, writing] = native.pipe();
    const input = new InputStream(createDescriptorInput(reading), waiter);
    assert.equal([...(await Pollable.poll([input.subscribe(), subscribe(20, waiter)]))], [1]);
    writeSync(writing, "x");
    assert.equal([...(await Pollable.poll([input.subscribe(), subscribe(5_000, waiter)]))], [0]);
    closeSync(reading);
    closeSync(writing);
  });

  test(`A read of an open pipe that has nothing is empty, and a blocking one sees the end, ${name}`, async () => {
    const [reading, writing] = native.pipe();
    const input = new InputStream(createDescriptorInput(reading), waiter);
    assert.equal(input.read(10n), { tag: "ok", val: new Uint8Array(0) });
    writeSync(writing, "abc");
    const result = await input.blockingRead(2n);
    assert.is(result.tag === "ok" ? Buffer.from(result.val).toString() : result.tag, "ab");
    closeSync(writing);
    await input.blockingRead(2n);
    assert.equal(await input.blockingRead(2n), { tag: "err", val: { tag: "closed" } });
    closeSync(reading);
  });
}

test("An empty list to poll traps", () => {
  assert.throws(() => Pollable.poll([]), /the list is empty/);
});

test("A suspended guest does not keep others from running", async () => {
  const order: string[] = [];
  const slow = Promise.resolve(subscribe(40, suspending).block()).then(() => order.push("slow"));
  const fast = Promise.resolve(subscribe(10, suspending).block()).then(() => order.push("fast"));
  await Promise.all([slow, fast]);
  assert.equal(order, ["fast", "slow"]);
});

test("A pipe that nobody reads any more is closed for whoever writes: libc's EPIPE", async () => {
  const [reading, writing] = native.pipe();
  closeSync(reading);
  const output = new OutputStream(createDescriptorOutput(writing), blocking);
  const closed = { tag: "err", val: { tag: "closed" } };
  assert.equal(await output.blockingWriteAndFlush(Buffer.from("x")), closed);
  assert.equal(output.checkWrite(), closed);
  closeSync(writing);
});

test("A guest that writes more than it was allowed traps", () => {
  const zeroes = new OutputStream(discardingOutput, blocking);
  assert.is(zeroes.writeZeroes(65_536n).tag, "ok");
  // More than there is memory for is not made first.
  for (const length of [65_537n, 2n ** 40n, 2n ** 64n - 1n])
    assert.throws(() => zeroes.writeZeroes(length), /output-stream.write-zeroes: \d+ bytes where/);
  const output = new OutputStream(createDescriptorOutput(1), blocking);
  assert.throws(() => output.write(new Uint8Array(65_537)), RangeError);
});

test("Splicing moves bytes from one stream to the other", async () => {
  const [reading, writing] = native.pipe();
  const [otherReading, otherWriting] = native.pipe();
  writeSync(writing, "moved");
  const output = new OutputStream(createDescriptorOutput(otherWriting), blocking);
  assert.equal(output.splice(new InputStream(createDescriptorInput(reading), blocking), 100n), {
    tag: "ok",
    val: 5n,
  });
  const result = new InputStream(createDescriptorInput(otherReading), blocking).read(100n);
  assert.is(result.tag === "ok" ? Buffer.from(result.val).toString() : "", "moved");
  for (const fd of [reading, writing, otherReading, otherWriting]) closeSync(fd);
});

test("An input without a descriptor is closed from the start", () => {
  assert.equal(new InputStream(emptyInput, blocking).read(1n), { tag: "err", val: { tag: "closed" } });
});

test("Nothing is granted unless it is listed", () => {
  const stdio = { stdin: undefined, stdout: undefined, stderr: undefined };
  const imports = createImports(
    { args: [], env: [], stdio, preopens: [] },
    { files: createNativeFiles(), waiter: blocking },
  );
  const call = (name: string, member: string): unknown =>
    (imports[name] as Record<string, () => unknown>)[member]?.();
  assert.equal(call("wasi:cli/environment", "getArguments"), []);
  assert.equal(call("wasi:cli/environment", "getEnvironment"), []);
  assert.equal(call("wasi:filesystem/preopens", "getDirectories"), []);
  assert.equal(call("wasi:sockets/ip-name-lookup", "resolveAddresses"), { tag: "err", val: "access-denied" });
});

test("Headers compare without case, keep their order and cannot carry a line break", () => {
  const fields = new Fields();
  assert.is(fields.append("X-One", Buffer.from("1")).tag, "ok");
  assert.is(fields.append("x-one", Buffer.from("2")).tag, "ok");
  assert.equal(fields.get("X-ONE").map(String), ["1", "2"]);
  assert.equal(fields.append("x", Buffer.from("a\r\nset-cookie: b")), {
    tag: "err",
    val: { tag: "invalid-syntax" },
  });
  assert.equal(fields.append("a b", Buffer.from("")), { tag: "err", val: { tag: "invalid-syntax" } });
  assert.equal(fields.set("Connection", [Buffer.from("close")]), { tag: "err", val: { tag: "forbidden" } });
  assert.equal(Fields.fromList([["transfer-encoding", Buffer.from("chunked")]]), {
    tag: "err",
    val: { tag: "forbidden" },
  });
  fields.freeze();
  assert.equal(fields.delete("x-one"), { tag: "err", val: { tag: "immutable" } });
  assert.is(fields.clone().delete("x-one").tag, "ok");
});

test("More fields than a host has room for are a trap in 0.2 and an error in 0.3, and are not there then", () => {
  const [large, list] = [Buffer.alloc(1000, "x"), [["many", Buffer.from("1")]] as const];
  for (const Class of [Fields, Fields03]) {
    const made = Class.fromList(list);
    assert.ok(made.tag === "ok" && made.val instanceof Class && made.val.clone() instanceof Class);
  }
  const traps = /^fields of more than 131072 bytes$/;
  const fields = new Fields();
  assert.throws(() => fields.set("many", Array(200).fill(large)), traps);
  assert.throws(() => Fields.fromList(Array(200).fill(["many", large])), traps);
  const newer = new Fields03();
  assert.is(newer.append("many", large).tag, "ok");
  const tooLarge = { tag: "err", val: { tag: "size-exceeded" } };
  assert.equal(newer.set("many", Array(200).fill(large)), tooLarge);
  assert.equal(newer.get("many"), [large]);
  assert.equal(Fields03.fromList(Array(200).fill(["many", large])), tooLarge);
  assert.ok(Fields03.fromRaw(["a", "b"]) instanceof Fields03);
});

test("A request line cannot be broken by its path, method or authority", () => {
  const request = new OutgoingRequest(new Fields());
  assert.is(request.setPathWithQuery("/a b").tag, "err");
  assert.is(request.setPathWithQuery("/a\r\nx: y").tag, "err");
  assert.is(request.setMethod({ tag: "other", val: "GET /" }).tag, "err");
  assert.is(request.setAuthority("a/b").tag, "err");
  assert.is(request.setAuthority("[::1]:80").tag, "ok");
});

test.run();
