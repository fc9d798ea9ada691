/** What has been done to servers of HTTP/2: each ends the connection that it comes on, and nothing else. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { answer, readAll, serving, type TestServer } from "./serving.ts";

const test = suite("attacks on HTTP/2");

const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION] = [0, 1, 3, 4, 6, 8, 9];
const END_STREAM = 0x1;
const END_HEADERS = 0x4;

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** `:method: GET`, `:scheme: http`, `:path: /`, `:authority: x` (RFC 7541, appendix A). */
const get = Buffer.from([0x82, 0x86, 0x84, 0x41, 0x01, 0x78]);
const post = Buffer.from([0x83, 0x86, 0x84, 0x41, 0x01, 0x78]);

async function begin({ connect }: TestServer, settings = Buffer.alloc(0)): Promise<Socket> {
  const socket = await connect();
  socket.write(
    Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(SETTINGS, 0, 0, settings)]),
  );
  return socket;
}

/** For a moment at most: who does not read any more does not say so. */
async function drained(socket: Socket): Promise<void> {
  await Promise.race([once(socket, "drain").catch(() => {}), sleep(20)]);
}

/** Sends pieces until the server has had enough of it; how many it has taken. */
async function flood(socket: Socket, piece: (index: number) => Buffer, most: number): Promise<number> {
  socket.resume();
  let ended = false;
  for (const event of ["end", "close"])
    socket.once(event, () => {
      ended = true;
    });
  let sent = 0;
  while (!ended && sent < most) {
    const batch = Array.from({ length: 100 }, () => piece(sent++));
    if (!socket.write(Buffer.concat(batch))) await drained(socket);
    await sleep(0);
  }
  for (let left = 200; !ended && left > 0; left--) await sleep(10);
  socket.destroy();
  assert.ok(ended, `the server still listens after ${sent} pieces`);
  return sent;
}

async function stillServes({ port }: TestServer): Promise<void> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  assert.is(await text(session.request()), "hello");
  session.destroy();
}

test("Streams that are reset as soon as they are opened", () => {
  let served = 0;
  return serving(
    (exchange) => {
      served++;
      setTimeout(() => exchange.broken || answer(exchange), 20);
    },
    async (server) => {
      const cancel = Buffer.from([0, 0, 0, 8]);
      const piece = (index: number): Buffer =>
        Buffer.concat([
          frame(HEADERS, END_HEADERS | END_STREAM, 2 * index + 1, get),
          frame(RST_STREAM, 0, 2 * index + 1, cancel),
        ]);
      await flood(await begin(server), piece, 100_000);
      assert.ok(served < 2000, `${served} requests got through`);
      await stillServes(server);
    },
  );
});

test("A header section that goes on and on", () => {
  let served = 0;
  return serving(
    (exchange) => {
      served++;
      answer(exchange);
    },
    async (server) => {
      const before = process.memoryUsage().rss;
      // A field that is not kept, with a name of one character: the section never ends.
      const field = Buffer.concat([Buffer.from([0, 1, 0x61, 0x7f, 0x81, 0x1e]), Buffer.alloc(4096, "a")]);
      const piece = (index: number): Buffer =>
        index === 0 ? frame(HEADERS, END_STREAM, 1, get) : frame(CONTINUATION, 0, 1, field);
      await flood(await begin(server), piece, 100_000);
      assert.is(served, 0);
      assert.ok(process.memoryUsage().rss - before < 100e6);
      await stillServes(server);
    },
  );
});

test("A small header section that stands for a large one", () => {
  const paths: string[] = [];
  return serving(
    (exchange) => {
      paths.push(exchange.head.path);
      answer(exchange);
    },
    async (server) => {
      // One field of 4000 bytes goes to the table, and is referred to thousands of times, a byte each.
      const large = Buffer.concat([Buffer.from([0x40, 1, 0x61, 0x7f, 0xa1, 0x1e]), Buffer.alloc(4000, "a")]);
      const bomb = Buffer.concat([get, large, Buffer.alloc(10_000, 0x80 | 62)]);
      const before = process.memoryUsage().rss;
      const piece = (index: number): Buffer =>
        frame(
          HEADERS,
          END_HEADERS | END_STREAM,
          2 * index + 1,
          index === 0 ? bomb : Buffer.concat([get, Buffer.alloc(10_000, 0x80 | 62)]),
        );
      const socket = await begin(server);
      socket.resume();
      for (let index = 0; index < 100; index++) socket.write(piece(index));
      await sleep(300);
      socket.destroy();
      assert.equal(paths, []);
      assert.ok(process.memoryUsage().rss - before < 100e6);
      await stillServes(server);
    },
  );
});

test("Frames of data with nothing in them", () => {
  return serving(
    (exchange) => (exchange.head.method === "GET" ? answer(exchange) : readAll(exchange).catch(() => {})),
    async (server) => {
      const piece = (index: number): Buffer =>
        index === 0 ? frame(HEADERS, END_HEADERS, 1, post) : frame(DATA, 0, 1);
      await flood(await begin(server), piece, 100_000);
      await stillServes(server);
    },
  );
});

test("Pings whose answers nobody takes", () =>
  serving(answer, async (server) => {
    const socket = await begin(server);
    const before = process.memoryUsage().rss;
    let ended = false;
    socket.once("close", () => {
      ended = true;
    });
    socket.pause();
    const pings = Buffer.concat(Array.from({ length: 1000 }, () => frame(PING, 0, 0, Buffer.alloc(8))));
    // As many as the buffers of the kernel hold, and then some.
    for (let index = 0; index < 2000 && !ended; index++) {
      if (!socket.write(pings)) await drained(socket);
      if (socket.writableLength > 4e6) break; // the server does not read any more
    }
    assert.ok(process.memoryUsage().rss - before < 150e6);
    await stillServes(server);
    socket.destroy();
  }));

test("A window that is never opened: its answer is given up, small as it may be", () =>
  serving(
    (exchange) => answer(exchange),
    async (server) => {
      // SETTINGS_INITIAL_WINDOW_SIZE (4) = 0
      const socket = await begin(server, Buffer.from("000400000000", "hex"));
      const frames: Buffer[] = [];
      socket.on("data", (data: Buffer) => frames.push(data));
      socket.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, get));
      const reset = frame(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8]));
      for (let left = 200; left > 0 && !Buffer.concat(frames).includes(reset); left--) await sleep(10);
      assert.ok(Buffer.concat(frames).includes(reset));
      socket.destroy();
    },
    { ioTimeoutMs: 60 },
  ));

test("A window that is opened too far ends the connection", () =>
  serving(answer, async (server) => {
    const most = Buffer.from([0x7f, 0xff, 0xff, 0xff]);
    await flood(await begin(server), () => frame(WINDOW_UPDATE, 0, 0, most), 1000);
    await stillServes(server);
  }));

test("A body that stops in the middle fails", () =>
  serving(
    (exchange) => readAll(exchange).catch((error: Error) => answer(exchange, error.message)),
    async (server) => {
      const socket = await begin(server);
      const frames: Buffer[] = [];
      socket.on("data", (data: Buffer) => frames.push(data));
      socket.write(
        Buffer.concat([frame(HEADERS, END_HEADERS, 1, post), frame(DATA, 0, 1, Buffer.from("abc"))]),
      );
      for (let left = 200; left > 0 && !Buffer.concat(frames).includes("connection-read-timeout"); left--)
        await sleep(10);
      assert.ok(Buffer.concat(frames).includes("connection-read-timeout"));
      socket.destroy();
    },
    { ioTimeoutMs: 60 },
  ));

test("A connection that asks nothing is closed, however much it pings", () =>
  serving(
    answer,
    async (server) => {
      const socket = await begin(server);
      socket.resume();
      const timer = setInterval(() => socket.write(frame(PING, 0, 0, Buffer.alloc(8))), 10);
      await Promise.race([once(socket, "end"), sleep(3000).then(() => assert.unreachable("still open"))]);
      clearInterval(timer);
      socket.destroy();
    },
    { keepAliveTimeoutMs: 100 },
  ));

test.run();
