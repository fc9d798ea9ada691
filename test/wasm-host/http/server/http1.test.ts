import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Exchange } from "../../../../wasm-host/http/exchange.ts";
import { answer, readAll, sendMuch, serving } from "./serving.ts";

const test = suite("HTTP/1");

const close = "connection: close\r\n";
const get = (path = "/", more = ""): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n${more}\r\n`;
const withoutDate = (text: string): string => text.replace(/date: [^\r]*\r\n/g, "");

test("An answer that is whole has its length, and the connection goes on", () =>
  serving(answer, async ({ ask }) => {
    const text = await ask(get("/a") + get("/b", close));
    const one = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n";
    assert.is(withoutDate(text), `${one}\r\nhello${one}connection: close\r\n\r\nhello`);
    assert.match(text, /date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT/);
  }));

test("An answer that goes on is chunked, with its trailers", () =>
  serving(
    async (exchange) => {
      const content = exchange.begin(200, []);
      content.write(Buffer.from("one"));
      await sleep(5);
      content.write(Buffer.from("two"));
      content.end([["x-sum", "6"]]);
      exchange.release();
    },
    async ({ ask }) => {
      const text = withoutDate(await ask(get("/", close)));
      assert.is(
        text,
        `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n${close}\r\n3\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n`,
      );
    },
  ));

test("HTTP/1.0 is answered to the connection's end, or with a length and keep-alive", () =>
  serving(
    async (exchange) => {
      if (exchange.head.path === "/whole") return answer(exchange);
      const content = exchange.begin(200, []);
      content.write(Buffer.from("one"));
      await sleep(5);
      content.write(Buffer.from("two"));
      content.end([]);
      return exchange.release();
    },
    async ({ ask }) => {
      assert.is(
        withoutDate(await ask("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")),
        `HTTP/1.1 200 OK\r\n${close}\r\nonetwo`,
      );
      const kept = await ask(
        "GET /whole HTTP/1.0\r\nconnection: keep-alive\r\n\r\nGET /whole HTTP/1.0\r\n\r\n",
      );
      assert.is(kept.match(/hello/g)?.length, 2);
      assert.match(kept, /content-length: 5\r\nconnection: keep-alive\r\n/);
    },
  ));

test("HEAD, 204 and 304 have no body, whatever is written", () =>
  serving(
    (exchange) => answer(exchange, "hello", Number(exchange.head.path.slice(1))),
    async ({ ask }) => {
      const head = "HEAD /200 HTTP/1.1\r\nhost: x\r\n\r\n";
      const text = withoutDate(await ask(head + get("/204") + get("/304") + get("/200", close)));
      assert.is(text.match(/hello/g)?.length, 1);
      assert.ok(text.endsWith(`content-length: 5\r\n${close}\r\nhello`));
      assert.is(text.match(/content-length/g)?.length, 1);
    },
  ));

test("Requests sent ahead are answered in their order, however many and however they come", () =>
  serving(answer, async ({ connect }) => {
    const socket = await connect();
    const requests = Buffer.from(get("/").repeat(5000) + get("/last", close));
    let received = "";
    socket.on("data", (data: Buffer) => {
      received += data.toString("latin1");
    });
    for (let at = 0; at < requests.length; at += 7001) {
      socket.write(requests.subarray(at, at + 7001));
      if (at % 70_010 === 0) await sleep(1);
    }
    await once(socket, "end");
    socket.destroy();
    assert.is(received.match(/HTTP\/1.1 200 OK/g)?.length, 5001);
  }));

test("A request byte by byte", () =>
  serving(
    async (exchange) => answer(exchange, (await readAll(exchange)).toString()),
    async ({ connect }) => {
      const socket = await connect();
      const request =
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\na: b\r\n\r\n";
      socket.setNoDelay(true);
      for (const char of request) {
        socket.write(char);
        await sleep(0);
      }
      const [data] = (await once(socket, "data")) as [Buffer];
      socket.destroy();
      assert.match(data.toString(), /\r\n\r\nabcde$/);
    },
  ));

test("Trailers come after the body", () =>
  serving(
    async (exchange) => {
      await readAll(exchange);
      answer(exchange, exchange.content.trailers().join());
    },
    async ({ ask }) => {
      const text = await ask(
        `POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n${close}\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n`,
      );
      assert.match(text, /\r\n\r\nX-Sum,7$/);
    },
  ));

test("A client is told to go on when the body is wanted, and not before", () =>
  serving(
    async (exchange) => {
      if (exchange.head.path === "/no") return answer(exchange, "no");
      await sleep(20);
      return answer(exchange, (await readAll(exchange)).toString());
    },
    async ({ connect, ask }) => {
      const socket = await connect();
      const head = (path: string): string =>
        `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n`;
      socket.write(head("/"));
      const [first] = (await once(socket, "data")) as [Buffer];
      assert.is(first.toString(), "HTTP/1.1 100 Continue\r\n\r\n");
      socket.write("abc");
      const [second] = (await once(socket, "data")) as [Buffer];
      assert.match(second.toString(), /^HTTP\/1.1 200 OK\r\n[\s\S]*\r\n\r\nabc$/);
      assert.not.match(second.toString(), /connection: close/);
      socket.destroy();
      // Whether the body comes is not known then: nothing that follows could be told from it.
      const text = await ask(head("/no"));
      assert.match(text, /^HTTP\/1.1 200 OK\r\n[\s\S]*connection: close\r\n\r\nno$/);
    },
  ));

test("A body that nobody reads goes by, and the connection goes on", () =>
  serving(answer, async ({ ask }) => {
    const body = "x".repeat(100_000);
    const text = await ask(
      `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n${body}${get("/", close)}`,
    );
    assert.is(text.match(/200 OK/g)?.length, 2);
    const chunked = await ask(
      `POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${get("/", close)}`,
    );
    assert.is(chunked.match(/200 OK/g)?.length, 2);
  }));

test("A large body that nobody reads ends the connection, but not before the answer is read", () =>
  serving(answer, async ({ ask }) => {
    const text = await ask(
      Buffer.concat([
        Buffer.from("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 30000000\r\n\r\n"),
        Buffer.alloc(900_000),
      ]),
    );
    assert.match(text, /200 OK[\s\S]*hello$/);
  }));

test("A body that announces too much is 413, and one that turns out to be too long fails", () =>
  serving(
    async (exchange) => {
      try {
        await readAll(exchange);
      } catch (error) {
        answer(exchange, (error as Error).message);
      }
    },
    async ({ ask }) => {
      assert.match(
        await ask(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n${"x".repeat(1001)}`),
        /^HTTP\/1.1 413 /,
      );
      const chunk = `200\r\n${"x".repeat(512)}\r\n`;
      assert.match(
        await ask(
          `POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`,
        ),
        /\r\n\r\nHTTP-request-body-size$/,
      );
    },
    { maxBodyBytes: 1000 },
  ));

test("A body that is no chunks fails, and nothing after it is taken for a request", () =>
  serving(
    async (exchange) => {
      assert.is(exchange.head.path, "/");
      await readAll(exchange).catch((error: Error) => answer(exchange, error.message));
    },
    async ({ ask }) => {
      const smuggled = `POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n${get("/smuggled")}`;
      const text = await ask(smuggled);
      assert.match(text, /HTTP-protocol-error$/);
      assert.is(text.match(/HTTP\/1.1/g)?.length, 1);
    },
  ));

test("A client that has closed its side is still answered", () =>
  serving(
    async (exchange) => {
      await sleep(30);
      answer(exchange);
    },
    async ({ connect }) => {
      const socket = await connect();
      socket.end(get());
      const [data] = (await once(socket, "data")) as [Buffer];
      assert.match(data.toString(), /hello$/);
      socket.destroy();
    },
  ));

test("A client that leaves in the middle of its body is an error of the body", () => {
  const failed = Promise.withResolvers<string>();
  return serving(
    (exchange) => readAll(exchange).then(String, (error: Error) => failed.resolve(error.message)),
    async ({ connect }) => {
      const socket = await connect();
      socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc");
      await sleep(20);
      socket.destroy();
      assert.is(await failed.promise, "connection-terminated");
    },
  );
});

test("A client that leaves while it is sent to ends the writing", () => {
  const ended = Promise.withResolvers<boolean>();
  return serving(
    async (exchange: Exchange) => {
      await sendMuch(exchange, 1e9).catch(() => {});
      ended.resolve(exchange.broken);
    },
    async ({ connect, log }) => {
      const socket = await connect();
      socket.write(get());
      await once(socket, "data");
      socket.destroy();
      assert.ok(await ended.promise);
      assert.is(log[0]?.["aborted"], true);
    },
  );
});

test("Informational answers go before the answer, and not to HTTP/1.0", () =>
  serving(
    (exchange) => {
      exchange.inform(103, [["link", "</a>"]]);
      answer(exchange);
    },
    async ({ ask }) => {
      assert.match(
        await ask(get("/", close)),
        /^HTTP\/1.1 103 Early Hints\r\nlink: <\/a>\r\n\r\nHTTP\/1.1 200 OK\r\n/,
      );
      assert.match(await ask("GET / HTTP/1.0\r\n\r\n"), /^HTTP\/1.1 200 OK\r\n/);
    },
  ));

test("An answer of another length than it says is broken off", () =>
  serving(
    (exchange) => {
      const content = exchange.begin(200, [["content-length", "5"]]);
      content.write(Buffer.from(exchange.head.path === "/more" ? "hello GET" : "hel"));
      content.end([]);
      exchange.release();
    },
    async ({ ask }) => {
      assert.match(await ask(get("/less")), /content-length: 5\r\n[\s\S]*\r\n\r\nhel$/);
      assert.not.match(await ask(get("/more")), /GET/);
    },
  ));

test.run();
