import { once } from "node:events";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { answer, readAll, sendMuch, serving } from "./serving.ts";

const test = suite("limits of an http server");

const get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

test("A head that does not come is 408, and one that never begins is closed", () =>
  serving(
    answer,
    async ({ connect }) => {
      const silent = await connect();
      const slow = await connect();
      slow.write("GET / HTTP/1.1\r\nhost:");
      const drip = setInterval(() => slow.write("x"), 10);
      assert.match(await text(slow), /^HTTP\/1.1 408 /);
      clearInterval(drip);
      assert.is(await text(silent), "");
    },
    { headerTimeoutMs: 60 },
  ));

test("A connection on which nothing is asked any more is closed", () =>
  serving(
    answer,
    async ({ connect }) => {
      const socket = await connect();
      socket.write(get);
      assert.match(await text(socket), /hello$/);
    },
    { keepAliveTimeoutMs: 60 },
  ));

test("A body that does not go on fails", () =>
  serving(
    (exchange) => readAll(exchange).catch((error: Error) => answer(exchange, error.message)),
    async ({ connect }) => {
      const socket = await connect();
      socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc");
      assert.match(await text(socket), /connection: close[\s\S]*connection-read-timeout$/);
    },
    { ioTimeoutMs: 60 },
  ));

test("A body that goes on slowly does not fail", () =>
  serving(
    async (exchange) => answer(exchange, (await readAll(exchange)).toString()),
    async ({ connect }) => {
      const socket = await connect();
      socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\nconnection: close\r\n\r\n");
      for (let index = 0; index < 10; index++) {
        await sleep(100);
        socket.write(String(index));
      }
      assert.match(await text(socket), /0123456789$/);
    },
    { ioTimeoutMs: 800 },
  ));

test("A client that does not take its answer is cut off", () =>
  serving(
    (exchange) => sendMuch(exchange, 1e9).catch(() => {}),
    async ({ connect, log }) => {
      const socket = await connect();
      socket.pause();
      socket.write(get);
      while (log.length === 0) await sleep(10);
      assert.is(log[0]?.["aborted"], true);
      socket.destroy();
    },
    { ioTimeoutMs: 60 },
  ));

test("A gigabyte each way passes through little memory", () =>
  serving(
    async (exchange) => {
      if (exchange.head.method === "GET") return sendMuch(exchange, 1e9);
      let size = 0;
      const { content } = exchange;
      for (;;) {
        const piece = content.read(65_536);
        if (piece === undefined) break;
        size += piece.length;
        if (piece.length === 0) await new Promise<void>((resolve) => content.source.watch?.(resolve));
      }
      return answer(exchange, String(size));
    },
    async ({ connect }) => {
      let most = 0;
      const timer = setInterval(() => {
        most = Math.max(most, process.memoryUsage().rss);
      }, 50);
      const before = process.memoryUsage().rss;
      const reader = await connect();
      reader.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
      let received = 0;
      for await (const data of reader) received += (data as Buffer).length;
      assert.ok(received > 1e9);
      const writer = await connect();
      writer.write("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000000000\r\n\r\n");
      const piece = Buffer.alloc(1_000_000);
      for (let index = 0; index < 1000; index++) if (!writer.write(piece)) await once(writer, "drain");
      assert.match(await text(writer), /\r\n\r\n1000000000$/);
      clearInterval(timer);
      assert.ok(most - before < 200e6, `${most - before} bytes more`);
    },
    { maxBodyBytes: 2e9 },
  ));

test("More connections than may be wait until one ends", () =>
  serving(
    answer,
    async ({ connect }) => {
      const [first, second, third] = [await connect(), await connect(), await connect()];
      third?.write(get);
      await sleep(50);
      assert.is(third?.bytesRead, 0);
      first?.destroy();
      await once(third ?? second, "data");
      second?.destroy();
      third?.destroy();
    },
    { maxConcurrentConnections: 2 },
  ));

test("Heads that are too large or have too many fields are 431", () =>
  serving(
    answer,
    async ({ ask }) => {
      const fields = (count: number, size: number): string =>
        Array.from({ length: count }, (_, index) => `x-${index}: ${"a".repeat(size)}\r\n`).join("");
      const request = (more: string): string =>
        `GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${more}\r\n`;
      assert.match(await ask(request(fields(9, 10))), /^HTTP\/1.1 200 /);
      assert.match(await ask(request(fields(10, 10))), /^HTTP\/1.1 431 /);
      assert.match(await ask(request(fields(1, 5000))), /^HTTP\/1.1 431 /);
      assert.match(await ask(`GET / HTTP/1.1\r\nhost: x\r\nx: ${"a".repeat(100_000)}`), /^HTTP\/1.1 431 /);
    },
    { maxHeaderBytes: 4096, maxHeaders: 11 },
  ));

test("The access log has a line for each request, also for one that could not be read", () =>
  serving(answer, async ({ ask, log }) => {
    await ask('GET /a"b HTTP/1.1\r\nhost: x:1\r\nconnection: close\r\n\r\n');
    await ask("nonsense\r\n\r\n");
    const [first, second] = log;
    const { time, ms, ...rest } = first ?? {};
    assert.equal(rest, {
      peer: "127.0.0.1",
      method: "GET",
      path: '/a"b',
      authority: "x:1",
      protocol: "HTTP/1.1",
      status: 200,
      bytes: 5,
    });
    assert.ok(Number(ms) >= 0 && Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
    assert.is(second?.["status"], 400);
  }));

test("Draining: idle connections end, requests that have come are answered as the last of theirs", () =>
  serving(
    async (exchange) => {
      await sleep(60);
      answer(exchange);
    },
    async ({ connect, server, port }) => {
      const idle = await connect();
      const half = await connect();
      half.write("GET / HTTP");
      const busy = await connect();
      busy.write(get);
      await sleep(20);
      const closed = server.close();
      assert.is(await text(idle), "");
      assert.is(await text(half), "");
      assert.match(await text(busy), /connection: close[\s\S]*hello$/);
      busy.destroy();
      assert.is(await closed, true);
      const late = await connect().catch((error: NodeJS.ErrnoException) => error.code);
      assert.is(late, "ECONNREFUSED", String(port));
    },
  ));

test("Draining: what is not answered in time is broken off", () =>
  serving(
    () => {},
    async ({ connect, server }) => {
      const socket = await connect();
      socket.write(get);
      await sleep(20);
      assert.is(await server.close(), false);
      assert.is(await text(socket), "");
    },
    { drainTimeoutMs: 30 },
  ));

test("Draining: an answer that streams is finished", () =>
  serving(
    async (exchange) => {
      const content = exchange.begin(200, []);
      for (let index = 0; index < 5; index++) {
        content.write(Buffer.from(String(index)));
        await sleep(20);
      }
      content.end([]);
      exchange.release();
    },
    async ({ connect, server }) => {
      const socket = await connect();
      socket.write(get);
      await once(socket, "readable");
      const closed = server.close();
      assert.match(await text(socket), /1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n1\r\n3\r\n1\r\n4\r\n0\r\n\r\n$/);
      socket.destroy();
      assert.is(await closed, true);
    },
  ));

test.run();
