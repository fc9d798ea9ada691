import { createServer, type Server as NetServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decodeResponse, encodeRequestFrame, encodeResponseFrame } from "../src/envelope.ts";
import {
  connect,
  encodeFrame,
  FrameDecoder,
  type FrameHeader,
  frameFlags,
  frameTypes,
  type TtrpcError,
} from "../src/index.ts";
import { Echo } from "./gen/echo_pb.ts";
import { Harness, within } from "./harness.ts";

const test = suite("hostile peers");

const noPayload = new Uint8Array(0);

function sayFrame(streamId: number, method = "Say", flags = 0): Buffer {
  const metadata = new Map<string, readonly string[]>();
  const service = Echo.typeName;
  return encodeRequestFrame(streamId, flags, {
    service,
    method,
    payload: noPayload,
    timeoutNano: 0,
    metadata,
  });
}

function header(length: number, streamId: number, type: number): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt32BE(streamId, 4);
  bytes.writeUInt8(type, 8);
  return bytes;
}

/** Reads `count` response frames, as stream id and code (`ok` for none). */
function answers(socket: Socket, count: number): Promise<[number, string][]> {
  const seen: [number, string][] = [];
  const reading = new Promise<[number, string][]>((resolve) => {
    const decoder = new FrameDecoder({
      onFrame: (found: FrameHeader, payload) => {
        seen.push([found.streamId, decodeResponse(payload).error?.code ?? "ok"]);
        if (seen.length === count) resolve(seen);
      },
      onOversize: () => undefined,
    });
    socket.on("data", (chunk: Buffer) => decoder.push(chunk));
  });
  return within(reading, `${count} answers`);
}

test("even and non-increasing stream ids are invalid, unknown types and streams are ignored", async () => {
  await using harness = await Harness.start({ say: () => ({}) });
  const socket = await harness.raw();
  const reading = answers(socket, 5);
  socket.write(
    Buffer.concat([
      encodeFrame({ streamId: 1, type: 77, flags: 0 }, Buffer.from("later version")),
      encodeFrame({ streamId: 99, type: frameTypes.data, flags: frameFlags.remoteClosed }, Buffer.from("?")),
      sayFrame(2),
      sayFrame(5),
      sayFrame(3),
      sayFrame(5),
      sayFrame(7),
    ]),
  );
  assert.equal((await reading).sort().map(String), [
    "2,invalid_argument",
    "3,invalid_argument",
    "5,invalid_argument",
    "5,ok",
    "7,ok",
  ]);
});

test("a giant length is answered before its bytes come, and the connection goes on after them", async () => {
  await using harness = await Harness.start({ say: () => ({}) });
  const socket = await harness.raw();
  const giant = 5 << 20;
  const reading = answers(socket, 2);
  socket.write(header(giant, 1, frameTypes.request));
  socket.write(Buffer.alloc(giant));
  socket.write(sayFrame(3));
  assert.equal(await reading, [
    [1, "resource_exhausted"],
    [3, "ok"],
  ]);
});

test("garbage in a request, or in its message, is an invalid argument", async () => {
  await using harness = await Harness.start({ say: () => ({}) });
  const socket = await harness.raw();
  const reading = answers(socket, 2);
  socket.write(encodeFrame({ streamId: 1, type: frameTypes.request, flags: 0 }, Buffer.from([0x0a, 0xff])));
  const service = Echo.typeName;
  const bad = {
    service,
    method: "Say",
    payload: Buffer.from([0x0a, 0x50]),
    timeoutNano: 0,
    metadata: new Map(),
  };
  socket.write(encodeRequestFrame(3, 0, bad));
  assert.equal(await reading, [
    [1, "invalid_argument"],
    [3, "invalid_argument"],
  ]);
});

test("a frame cut short and a connection torn down leave the server serving others", async () => {
  await using harness = await Harness.start({ say: () => ({ text: "up" }) });
  const socket = await harness.raw();
  socket.write(sayFrame(1).subarray(0, 14));
  const other = await harness.raw();
  other.write(sayFrame(1));
  other.destroy();
  socket.destroy();
  const reply = await within((await harness.connect()).service(Echo).say({}), "say");
  assert.is(reply.text, "up");
});

test("calls beyond the limit are refused, those within it are kept", async () => {
  await using harness = await Harness.start(
    { say: () => new Promise(() => undefined) },
    { maxCallsPerConnection: 10 },
  );
  const socket = await harness.raw();
  const reading = answers(socket, 1990);
  const frames: Buffer[] = [];
  for (let index = 0; index < 2000; index++) frames.push(sayFrame(index * 2 + 1));
  socket.write(Buffer.concat(frames));
  const seen = await reading;
  assert.is(seen[0]?.[0], 21);
  assert.ok(seen.every(([, code]) => code === "resource_exhausted"));
});

test("a peer that never reads its answers is no longer read from", async () => {
  let calls = 0;
  const blob = new Uint8Array(64 * 1024);
  await using harness = await Harness.start({
    say: () => {
      calls++;
      return { blob };
    },
  });
  const socket = await harness.raw();
  socket.pause();
  for (let index = 0; index < 20_000; index++) socket.write(sayFrame(index * 2 + 1));
  let before = -1;
  while (before !== calls) {
    before = calls;
    await sleep(200);
  }
  assert.ok(calls < 5000, `${calls} calls were answered into memory`);
  // Others do not notice.
  await within((await harness.connect()).service(Echo).say({}), "say");
});

test("a stream whose handler does not read stops the connection instead of filling memory", async () => {
  await using harness = await Harness.start(
    { collect: () => new Promise(() => undefined) },
    { maxBufferedBytes: 100_000 },
  );
  const socket = await harness.raw();
  socket.write(sayFrame(1, "Collect", frameFlags.remoteOpen));
  const frame = encodeFrame({ streamId: 1, type: frameTypes.data, flags: 0 }, Buffer.alloc(0));
  const block = Buffer.concat(new Array(1000).fill(frame));
  for (let index = 0; index < 500; index++) socket.write(block);
  await sleep(300);
  assert.ok(socket.writableLength > 0, "the server took five megabytes of frames nobody reads");
});

/** A server without manners: answers every connection with what `answer` writes. */
async function rude(answer: (socket: Socket) => void): Promise<{ server: NetServer; port: number }> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => answer(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
}

async function sayTo(answer: (socket: Socket) => void): Promise<string> {
  const { connect: open } = await import("node:net");
  const { server, port } = await rude(answer);
  const client = await connect(open(port, "127.0.0.1"));
  try {
    const reply = await within(client.service(Echo).say({}), "say");
    return `ok ${reply.text}`;
  } catch (error) {
    return (error as TtrpcError).code;
  } finally {
    await client.close();
    server.close();
  }
}

test("a client survives malformed, unsolicited, oversize and missing responses", async () => {
  const response = { streamId: 1, type: frameTypes.response, flags: 0 };
  const garbage = encodeFrame(response, Buffer.from([0x12, 0x7f, 1]));
  assert.is(await sayTo((socket) => socket.write(garbage)), "internal");
  const badMessage = encodeResponseFrame(1, Buffer.from([0x0a, 0x50]));
  assert.is(await sayTo((socket) => socket.write(badMessage)), "internal");
  const data = encodeFrame({ ...response, type: frameTypes.data }, noPayload);
  assert.is(await sayTo((socket) => socket.write(data)), "internal");
  assert.is(
    await sayTo((socket) => socket.write(header(2 ** 32 - 1, 1, frameTypes.response))),
    "resource_exhausted",
  );
  assert.is(await sayTo((socket) => socket.destroy()), "unavailable");
  const unsolicited = encodeResponseFrame(9, Buffer.from([0x0a, 0x50]));
  const good = encodeResponseFrame(1, Buffer.from([0x0a, 1, 0x61]));
  assert.is(await sayTo((socket) => socket.write(Buffer.concat([unsolicited, good, good]))), "ok a");
});

test.run();
