import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { addHttpTests, byPlan } from "./http-suite.ts";

const test = suite("http, by a link plan");
const serving = await addHttpTests(test, "http", byPlan);

for (const path of ["/spin", "/spin-in-realloc", "/spin-after-waiting"])
  test(`A guest that computes without end costs its request, not the server: ${path}`, () =>
    serving(
      async ({ get, stdio }) => {
        const others = Promise.all([get("/sleep"), get("/sleep")]);
        await sleep(20);
        assert.is((await get(path)).status, 504);
        assert.equal(
          (await others).map(({ status }) => status),
          [200, 200],
        );
        assert.is((await get("/count")).body, "1");
        assert.is(stdio.err, `tandem: GET ${path}: component computed for longer than it may\n`);
      },
      { computeTimeoutMs: 100 },
    ));

test("A guest that computes after its answer has answered, and is ended all the same", () =>
  serving(
    async ({ get, stdio }) => {
      const { status, body } = await get("/spin-after-answer");
      assert.is(status, 200);
      assert.is(body, "hello\n");
      assert.is((await get("/count")).body, "1");
      assert.match(stdio.err, /GET \/spin-after-answer: component computed for longer/);
    },
    { computeTimeoutMs: 100 },
  ));

test("One guest after the other that computes without end", () =>
  serving(
    async ({ get }) => {
      for (let index = 0; index < 5; index++) assert.is((await get("/spin")).status, 504);
      const answers = await Promise.all(
        ["/spin", "/", "/spin-after-waiting", "/", "/sleep"].map((path) => get(path)),
      );
      assert.equal(
        answers.map(({ status }) => status),
        [504, 200, 504, 200, 200],
      );
    },
    { computeTimeoutMs: 30 },
  ));

test("A guest that never answers is 504", () =>
  serving(
    async ({ get }) => {
      assert.is((await get("/never")).status, 504);
      assert.is((await get("/")).status, 200);
    },
    { requestTimeoutMs: 50 },
  ));

test("A trap after part of an answer was sent breaks it", () =>
  serving(async ({ get, stdio }) => {
    const failure = await get("/late-after-waiting").catch((error: Error) => error.message);
    assert.match(String(failure), /aborted|hang up/);
    assert.match(stdio.err, /component trapped: unreachable/);
  }));

test("An answer that a guest leaves unfinished is broken off", () =>
  serving(async ({ get, stdio }) => {
    const answer = await get("/unfinished").catch(() => undefined);
    if (answer !== undefined) assert.is(answer.status, 500);
    assert.match(stdio.err, /GET \/unfinished: component trapped: returned before its answer was whole/);
  }));

const traps: readonly (readonly [path: string, why: RegExp])[] = [
  ["/finish-with-stream", /outgoing-body: finish before its output-stream is dropped/],
  ["/write-after-finish", /unknown handle \d+/],
  ["/handle-twice", /unknown handle \d+/],
  ["/handle-of-another", /handle \d+ is of another type/],
  ["/string-outside", /leads out of memory/],
  ["/string-no-text", /a string that is no text/],
  ["/result-outside", /leads out of memory/],
  ["/status-101", /answered with status 101, which is no final answer/],
];

for (const [path, why] of traps)
  test(`${path} is a trap`, () =>
    serving(async ({ get, stdio }) => {
      const answer = await get(path).catch(() => undefined);
      if (answer !== undefined && path !== "/write-after-finish" && path !== "/handle-twice")
        assert.is(answer.status, 500);
      assert.match(stdio.err, new RegExp(`^tandem: GET ${path}: component trapped: `));
      assert.match(stdio.err, why);
      assert.is((await get("/count")).body, "1");
    }));

test("What a request leaves in memory, the next does not find", () =>
  serving(async ({ get }) => {
    for (let index = 0; index < 40; index++) assert.is((await get("/mark")).body, "clean");
    const answers = await Promise.all(Array.from({ length: 10 }, () => get("/mark")));
    assert.ok(answers.every(({ body }) => body === "clean"));
    assert.is((await get("/count")).body, "1");
  }));

test("A memory that one request has let grow, the next does not find", () =>
  serving(async ({ get }) => {
    const { body: first } = await get("/grow");
    for (let index = 0; index < 3; index++) assert.is((await get("/grow")).body, first);
  }));

test("Without resetting it is the same", () =>
  serving(
    async ({ get }) => {
      for (let index = 0; index < 3; index++) assert.is((await get("/mark")).body, "clean");
      assert.is((await get("/count")).body, "1");
    },
    { instanceReset: false },
  ));

test("An instance that is used again finds what it has left", () =>
  serving(
    async ({ get }) => {
      const bodies = [];
      for (let index = 0; index < 4; index++) bodies.push((await get("/mark")).body);
      assert.equal(bodies, ["clean", "marked", "marked", "clean"]);
    },
    { maxInstanceReuseCount: 3 },
  ));

test("An instance that has nothing to do for long is not used again", () =>
  serving(
    async ({ get }) => {
      assert.is((await get("/mark")).body, "clean");
      await sleep(200);
      assert.is((await get("/mark")).body, "clean");
    },
    { maxInstanceReuseCount: 100, idleInstanceTimeoutMs: 20 },
  ));

test("A client that leaves lets its guest end, and its instance is clean for the next", () =>
  serving(async ({ service, get }) => {
    for (let index = 0; index < 5; index++) {
      const socket = connect(service.address.port, "127.0.0.1");
      socket.write("GET /big HTTP/1.1\r\nhost: x\r\n\r\n");
      await once(socket, "data");
      socket.resetAndDestroy();
    }
    await sleep(50);
    assert.is((await get("/count")).body, "1");
  }));

test.run();
