import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type CallRecord, connect, type MethodImpl, TtrpcError } from "../src/index.ts";
import { Echo } from "./gen/echo_pb.ts";
import { Harness, within } from "./harness.ts";

const test = suite("server and client");

async function* texts(...all: string[]) {
  for (const text of all) yield { text };
}

async function failure(call: Promise<unknown>): Promise<TtrpcError> {
  try {
    await within(call, "the call");
  } catch (error) {
    if (error instanceof TtrpcError) return error;
    throw error;
  }
  throw new Error("the call succeeded");
}

const say: MethodImpl<typeof Echo.method.say> = (request) => ({
  text: request.text,
  number: request.number,
});

test("a unary call is answered, also by a handler that returns a promise", async () => {
  await using harness = await Harness.start({
    say: async (request) => ({ text: `${request.text}!`, blob: request.blob }),
  });
  const echo = (await harness.connect()).service(Echo);
  const blob = new Uint8Array(300_000).fill(7);
  const reply = await within(echo.say({ text: "hé", blob }), "say");
  assert.is(reply.text, "hé!");
  assert.equal(Buffer.from(reply.blob), Buffer.from(blob));
});

test("an empty request and an empty reply are fine", async () => {
  await using harness = await Harness.start({ say: () => ({}) });
  const reply = await within((await harness.connect()).service(Echo).say({}), "say");
  assert.is(reply.text, "");
});

test("handlers run concurrently and answers come in any order", async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  await using harness = await Harness.start({
    say: async (request) => {
      if (request.text === "first") await gate;
      else release();
      return { text: request.text };
    },
  });
  const echo = (await harness.connect()).service(Echo);
  const replies = await within(
    Promise.all([echo.say({ text: "first" }), echo.say({ text: "second" })]),
    "both",
  );
  assert.equal(
    replies.map((reply) => reply.text),
    ["first", "second"],
  );
});

test("two connections are independent: one closing leaves the other's call alone", async () => {
  await using harness = await Harness.start({
    say: async (request, context) => {
      await sleep(50);
      return { text: request.text, number: context.peer.connection };
    },
  });
  const one = await harness.connect();
  const two = await harness.connect();
  const lost = failure(one.service(Echo).say({ text: "lost" }));
  const kept = two.service(Echo).say({ text: "kept" });
  await one.close();
  assert.is((await lost).code, "unavailable");
  const reply = await within(kept, "kept");
  assert.equal([reply.text, reply.number], ["kept", 2]);
});

test("unknown services and methods are unimplemented", async () => {
  await using harness = await Harness.start({ say });
  const client = await harness.connect();
  assert.is((await failure(client.service(Echo, "no.such.Service").say({}))).code, "unimplemented");
  assert.is((await failure(client.service(Echo).collect(texts("a")))).code, "unimplemented");
});

test("one implementation serves under several names and can tell them apart", async () => {
  await using harness = await Harness.start({});
  harness.server.service(
    Echo,
    { say: (_, context) => ({ text: context.service }) },
    { names: ["a.v2.T", "a.v3.T"] },
  );
  const client = await harness.connect();
  assert.is((await client.service(Echo, "a.v2.T").say({})).text, "a.v2.T");
  assert.is((await client.service(Echo, "a.v3.T").say({})).text, "a.v3.T");
});

test("metadata arrives with lower-case keys and all its values", async () => {
  await using harness = await Harness.start({
    say: (_, context) => ({ text: JSON.stringify([...context.metadata]) }),
  });
  const echo = (await harness.connect()).service(Echo);
  const metadata = { "Containerd-Namespace-ttrpc": "k8s.io", many: ["1", "2"] };
  const reply = await within(echo.say({}, { metadata }), "say");
  assert.equal(JSON.parse(reply.text), [
    ["containerd-namespace-ttrpc", ["k8s.io"]],
    ["many", ["1", "2"]],
  ]);
});

test("a handler's TtrpcError is what the caller gets; other throws go through toError", async () => {
  await using harness = await Harness.start(
    {
      say: (request) => {
        if (request.text === "own") throw new TtrpcError("not_found", "container x: not found");
        throw new Error("disk on fire");
      },
    },
    { toError: (thrown) => new TtrpcError("internal", `converted: ${(thrown as Error).message}`) },
  );
  const echo = (await harness.connect()).service(Echo);
  const own = await failure(echo.say({ text: "own" }));
  assert.equal([own.code, own.message], ["not_found", "container x: not found"]);
  const other = await failure(echo.say({}));
  assert.equal([other.code, other.message], ["internal", "converted: disk on fire"]);
});

test("without toError a throw is unknown, with its message", async () => {
  await using harness = await Harness.start({
    say: async () => {
      throw new RangeError("too far");
    },
  });
  const error = await failure((await harness.connect()).service(Echo).say({}));
  assert.equal([error.code, error.message], ["unknown", "too far"]);
});

test("a deadline ends the call on both sides and aborts the handler's signal", async () => {
  let reason: unknown;
  const records: CallRecord[] = [];
  let recorded: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    recorded = resolve;
  });
  await using harness = await Harness.start(
    {
      say: (_, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            reason = signal.reason;
            resolve({});
          });
        }),
    },
    {
      onCall: (record) => {
        records.push(record);
        recorded();
      },
    },
  );
  const error = await failure((await harness.connect()).service(Echo).say({}, { timeoutMs: 30 }));
  assert.is(error.code, "deadline_exceeded");
  await within(done, "the server's deadline");
  assert.is((reason as TtrpcError).code, "deadline_exceeded");
  assert.equal(
    records.map((record) => [record.service, record.method, record.code]),
    [["ttrpc.test.v1.Echo", "Say", "deadline_exceeded"]],
  );
});

test("an aborted signal cancels the call, before or after it was sent", async () => {
  await using harness = await Harness.start({ say: () => new Promise(() => undefined) });
  const echo = (await harness.connect()).service(Echo);
  assert.is((await failure(echo.say({}, { signal: AbortSignal.abort() }))).code, "canceled");
  const controller = new AbortController();
  const call = failure(echo.say({}, { signal: controller.signal }));
  controller.abort();
  assert.is((await call).code, "canceled");
});

test("a handler's signal is aborted when its connection closes", async () => {
  let aborted: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    aborted = resolve;
  });
  await using harness = await Harness.start({
    say: (_, { signal }) => {
      signal.addEventListener("abort", () => aborted());
      return new Promise(() => undefined);
    },
  });
  const client = await harness.connect();
  const call = failure(client.service(Echo).say({}));
  await sleep(20);
  await client.close();
  assert.is((await call).code, "unavailable");
  await within(gone, "the abort");
});

test("stop sends answers already given, ends connections and fails what is pending as unavailable", async () => {
  const harness = await Harness.start({
    say: (request) => (request.text === "hang" ? new Promise(() => undefined) : { text: "bye" }),
  });
  const client = await harness.connect();
  const echo = client.service(Echo);
  const hanging = failure(echo.say({ text: "hang" }));
  assert.is((await within(echo.say({}), "say")).text, "bye");
  await within(harness.server.stop(), "stop");
  assert.is((await hanging).code, "unavailable");
  await within(client.closed, "closed");
  assert.is((await failure(echo.say({}))).code, "unavailable");
  assert.is((await failure(connect(harness.path))).code, "unavailable");
  await harness[Symbol.asyncDispose]();
});

test("a handler may stop its server and still be heard", async () => {
  const harness = await Harness.start({
    say: () => {
      void harness.server.stop();
      return { text: "shut down" };
    },
  });
  const reply = await within((await harness.connect()).service(Echo).say({}), "say");
  assert.is(reply.text, "shut down");
  await harness[Symbol.asyncDispose]();
});

test("a server streams, slowly read or not, and ends well or with an error", async () => {
  await using harness = await Harness.start({
    async *count(request) {
      for (let number = 0; number < request.number; number++) yield { number, blob: new Uint8Array(10_000) };
      if (request.text !== "") throw new TtrpcError("aborted", request.text);
    },
  });
  const echo = (await harness.connect()).service(Echo);
  let next = 0;
  for await (const reply of echo.count({ number: 500 })) assert.is(reply.number, next++);
  assert.is(next, 500);
  const seen: number[] = [];
  const reading = (async () => {
    for await (const reply of echo.count({ number: 2, text: "enough" })) seen.push(reply.number);
  })();
  assert.is((await failure(reading)).code, "aborted");
  assert.equal(seen, [0, 1]);
});

test("a client streams, and both do", async () => {
  await using harness = await Harness.start({
    async collect(requests) {
      let text = "";
      for await (const request of requests) text += request.text;
      return { text };
    },
    async *chat(requests) {
      for await (const request of requests) yield { text: request.text.toUpperCase() };
    },
  });
  const echo = (await harness.connect()).service(Echo);
  assert.is((await within(echo.collect(texts("a", "", "b")), "collect")).text, "ab");
  const heard: string[] = [];
  for await (const reply of echo.chat(texts("x", "y"))) heard.push(reply.text);
  assert.equal(heard, ["X", "Y"]);
});

test("leaving a stream early forgets it, and the connection goes on", async () => {
  await using harness = await Harness.start({
    say,
    async *count() {
      for (let number = 0; number < 50; number++) yield { number };
    },
  });
  const echo = (await harness.connect()).service(Echo);
  for await (const reply of echo.count({})) {
    assert.is(reply.number, 0);
    break;
  }
  assert.is((await within(echo.say({ text: "still here" }), "say")).text, "still here");
});

test("messages over 4 MiB are refused on the side that would send them", async () => {
  await using harness = await Harness.start({ say: () => ({ blob: new Uint8Array(5 << 20) }) });
  const echo = (await harness.connect()).service(Echo);
  assert.is((await failure(echo.say({ blob: new Uint8Array(5 << 20) }))).code, "resource_exhausted");
  assert.is((await failure(echo.say({}))).code, "resource_exhausted");
});

test("a message that cannot be encoded rejects the call instead of throwing", async () => {
  await using harness = await Harness.start({ say });
  const echo = (await harness.connect()).service(Echo);
  assert.is((await failure(echo.say({ number: 1.5 }))).code, "invalid_argument");
});

test.run();
