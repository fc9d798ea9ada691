import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
} from "node:http2";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Exchange } from "../../../../wasm-host/http/exchange.ts";
import type { HttpLimits } from "../../../../wasm-host/http/limits.ts";
import { answer, readAll, sendMuch, serving, type TestServer } from "./serving.ts";

const test = suite("HTTP/2");

interface Http2Test extends TestServer {
  readonly session: ClientHttp2Session;
}

function servingHttp2(
  serve: (exchange: Exchange) => unknown,
  use: (server: Http2Test) => Promise<void>,
  limits: Partial<HttpLimits> = {},
): Promise<void> {
  return serving(
    serve,
    async (server) => {
      const session = connectHttp2(`http://127.0.0.1:${server.port}`);
      session.on("error", () => {});
      try {
        await use({ ...server, session });
      } finally {
        session.destroy();
      }
    },
    limits,
  );
}

async function responseOf(stream: ClientHttp2Stream) {
  const [headers] = (await once(stream, "response")) as [Record<string, string | number>];
  return headers;
}

test("A request with prior knowledge, and many at once on its connection", () =>
  servingHttp2(
    async (exchange) => answer(exchange, `${exchange.head.authority} ${exchange.head.path}`),
    async ({ session, log }) => {
      const ask = async (path: string) => await text(session.request({ ":path": path }));
      const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(`/${index}`)));
      assert.match(answers[7] ?? "", /^127.0.0.1:\d+ \/7$/);
      assert.is(log.length, 50);
      assert.is(log[0]?.["protocol"], "HTTP/2");
    },
  ));

test("Bodies and trailers go both ways", () =>
  servingHttp2(
    async (exchange) => {
      const body = await readAll(exchange);
      const content = exchange.begin(201, [
        ["X-One", "1"],
        ["set-cookie", "a"],
        ["set-cookie", "b"],
      ]);
      content.write(body);
      content.end([["X-Sum", exchange.content.trailers().join()]]);
      exchange.release();
    },
    async ({ session }) => {
      const stream = session.request({ ":method": "POST" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-count": "3" }));
      const trailers = once(stream, "trailers") as Promise<[Record<string, string>]>;
      stream.end("abc");
      const headers = await responseOf(stream);
      assert.is(headers[":status"], 201);
      assert.is(headers["x-one"], "1");
      assert.equal(headers["set-cookie"], ["a", "b"]);
      assert.is(await text(stream), "abc");
      assert.is((await trailers)[0]["x-sum"], "x-count,3");
    },
  ));

test("HEAD and 204 have no body; informational answers go before", () =>
  servingHttp2(
    (exchange) => {
      exchange.inform(103, [["link", "</a>"]]);
      answer(exchange, "hello", exchange.head.path === "/204" ? 204 : 200);
    },
    async ({ session }) => {
      const head = session.request({ ":method": "HEAD" });
      const early = once(head, "headers") as Promise<[Record<string, string>]>;
      assert.is((await responseOf(head))[":status"], 200);
      assert.is((await early)[0]["link"], "</a>");
      assert.is(await text(head), "");
      const none = session.request({ ":path": "/204" });
      assert.is((await responseOf(none))[":status"], 204);
      assert.is(await text(none), "");
    },
  ));

test("A slow reader holds back who writes", () => {
  let written = 0;
  return servingHttp2(
    async (exchange) => {
      const content = exchange.begin(200, []);
      const write = content.write.bind(content);
      content.write = (bytes) => {
        written += bytes.length;
        write(bytes);
      };
      await sendMuch(exchange, 50e6).catch(() => {});
    },
    async ({ session }) => {
      const stream = session.request({});
      stream.pause();
      await responseOf(stream);
      await sleep(100);
      assert.ok(written < 5e6, `${written} bytes`);
      let received = 0;
      for await (const data of stream) received += (data as Buffer).length;
      assert.is(received, 50e6);
    },
  );
});

test("A body that is too large is 413, or fails", () =>
  servingHttp2(
    (exchange) => readAll(exchange).catch((error: Error) => answer(exchange, error.message)),
    async ({ session }) => {
      const announced = session.request({ ":method": "POST", "content-length": 2000 });
      assert.is((await responseOf(announced))[":status"], 413);
      const stream = session.request({ ":method": "POST" });
      stream.end("x".repeat(2000));
      assert.is(await text(stream), "HTTP-request-body-size");
    },
    { maxBodyBytes: 1000 },
  ));

test("A client that resets its stream ends the writing", () => {
  const broken = Promise.withResolvers<boolean>();
  return servingHttp2(
    async (exchange) => {
      await sendMuch(exchange, 1e9).catch(() => {});
      broken.resolve(exchange.broken);
    },
    async ({ session, log }) => {
      const stream = session.request({});
      await once(stream, "data");
      stream.close(constants.NGHTTP2_CANCEL);
      assert.ok(await broken.promise);
      assert.is(log[0]?.["aborted"], true);
    },
  );
});

test("An answer that is broken off resets its stream", () =>
  servingHttp2(
    async (exchange) => {
      const content = exchange.begin(200, []);
      content.write(Buffer.from("part"));
      await sleep(10);
      content.abort();
    },
    async ({ session }) => {
      const stream = session.request({});
      const failure = await text(stream).catch((error: NodeJS.ErrnoException) => error.code);
      assert.is(failure, "ERR_HTTP2_STREAM_ERROR");
      assert.is(stream.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
    },
  ));

test("Draining: GOAWAY, and what was asked before is answered", () =>
  servingHttp2(
    async (exchange) => {
      await sleep(60);
      answer(exchange);
    },
    async ({ session, server }) => {
      const stream = session.request({});
      const goaway = once(session, "goaway");
      await sleep(30);
      const closed = server.close();
      await goaway;
      assert.is(await text(stream), "hello");
      assert.is(await closed, true);
    },
  ));

test("CONNECT is 501", () =>
  servingHttp2(answer, async ({ session }) => {
    const stream = session.request({ ":method": "CONNECT", ":authority": "x:1" });
    assert.is((await responseOf(stream))[":status"], 501);
  }));

test("HTTP/2 that is not to be spoken is 505", () =>
  serving(
    answer,
    async ({ ask }) => {
      assert.match(await ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), /^HTTP\/1.1 505 /);
      const upgrade = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: \r\n";
      assert.match(await ask(`GET / HTTP/1.0\r\nhost: x\r\n${upgrade}\r\n`), /^HTTP\/1.1 200 /);
    },
    { http2: false },
  ));

test("An upgrade: the request that asks for it is the first stream, with the settings that it brings", () =>
  serving(
    (exchange) => answer(exchange, `${exchange.head.rawHeaders().join()} ${exchange.head.authority}`),
    async ({ port }) => {
      const socket = connect(port, "127.0.0.1");
      socket.write(
        "GET /a HTTP/1.1\r\nhost: x:1\r\nx-a: 1\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
      );
      const [first] = (await once(socket, "data")) as [Buffer];
      assert.match(first.toString("latin1"), /^HTTP\/1.1 101 Switching Protocols\r\n[\s\S]*\r\n\r\n$/);
      const received: Buffer[] = [];
      socket.on("data", (data: Buffer) => received.push(data));
      const settings = Buffer.from("000000040000000000", "hex");
      socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings.subarray(0, 4)]));
      await sleep(20);
      socket.write(settings.subarray(4));
      while (!Buffer.concat(received).includes("x-a,1 x:1")) await sleep(5);
      // The client's one SETTINGS frame is acknowledged once.
      const acknowledged = Buffer.concat(received)
        .toString("hex")
        .match(/000000040100000000/g);
      assert.is(acknowledged?.length, 1);
      socket.destroy();
    },
  ));

test("A window of the upgrade's settings holds from the first byte on", () => {
  let begun = false;
  return serving(
    async (exchange) => {
      begun = true;
      await sendMuch(exchange, 100_000).catch(() => {});
    },
    async ({ port }) => {
      const socket = connect(port, "127.0.0.1");
      // SETTINGS_INITIAL_WINDOW_SIZE (4) = 10
      const settings = Buffer.from("00040000000a", "hex").toString("base64url");
      socket.write(
        `GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: ${settings}\r\n\r\n`,
      );
      await once(socket, "data");
      let received = 0;
      socket.on("data", (data: Buffer) => {
        received += data.length;
      });
      socket.write(
        Buffer.concat([
          Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
          Buffer.from("000000040000000000", "hex"),
        ]),
      );
      while (!begun) await sleep(5);
      await sleep(50);
      assert.ok(received < 500, `${received} bytes`);
      socket.destroy();
    },
  );
});

test("What comes instead of a preface ends an upgrade", () =>
  serving(answer, async ({ ask }) => {
    const upgrade = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
    const text = await ask(`GET / HTTP/1.1\r\nhost: x\r\n${upgrade}\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n`);
    assert.match(text, /^HTTP\/1.1 101 [^\r]*\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n$/);
  }));

test.run();
