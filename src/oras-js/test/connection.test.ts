import type { ServerResponse } from "node:http";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Client, digestOf, type OrasError } from "../src/index.ts";
import { collect, fakeRegistry, impatient, rejects } from "./fake-registry.ts";

const connection = suite("over a connection that fails");
const content = Buffer.alloc(200_000, "0123456789");
const descriptor = { mediaType: "a/b", digest: digestOf(content), size: content.byteLength };
const client = new Client({ retry: impatient });

connection("a busy or broken registry is asked again", async () => {
  let asked = 0;
  await using registry = await fakeRegistry((_request, response) => {
    asked += 1;
    if (asked === 1) response.writeHead(429, { "retry-after": "0" }).end();
    else if (asked === 2) response.socket?.resetAndDestroy();
    else response.writeHead(200).end();
  });
  assert.ok(await client.blobExists(`${registry.address}/a`, descriptor));
  assert.is(asked, 3);
});

connection("it is not asked for ever", async () => {
  await using registry = await fakeRegistry((_request, response) => void response.writeHead(503).end());
  const error = await rejects(client.blobExists(`${registry.address}/a`, descriptor), "unavailable");
  assert.is((error as OrasError).status, 503);
  assert.is(registry.seen.length, impatient.attempts);
});

connection("what the registry refuses is not asked again", async () => {
  await using registry = await fakeRegistry((_request, response) => void response.writeHead(400).end());
  await rejects(client.blobExists(`${registry.address}/a`, descriptor), "rejected");
  assert.is(registry.seen.length, 1);
});

connection("a Retry-After is bounded", async () => {
  await using registry = await fakeRegistry((_request, response) => {
    response.writeHead(429, { "retry-after": "86400" }).end();
  });
  await rejects(client.blobExists(`${registry.address}/a`, descriptor), "too_many_requests");
});

connection("a download that breaks is taken up where it broke", async () => {
  const ranges: (string | undefined)[] = [];
  await using registry = await fakeRegistry((request, response) => {
    const { range } = request.headers;
    ranges.push(range);
    const start = Number(/bytes=(\d+)-/.exec(range ?? "")?.[1] ?? "0");
    const rest = content.subarray(start);
    const contentRange = { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` };
    const headers = { "content-length": rest.length, ...(range === undefined ? {} : contentRange) };
    response.writeHead(range === undefined ? 200 : 206, headers);
    if (ranges.length < 3) breakAfter(response, rest.subarray(0, 50_000));
    else response.end(rest);
  });
  const received = await collect(client.fetchBlob(`${registry.address}/a`, descriptor));
  assert.ok(received.equals(content));
  assert.is(ranges.length, 3);
  assert.is(ranges[0], undefined);
  assert.match(ranges[1] ?? "", /^bytes=[1-9]/);
});

connection("a registry without ranges sends again what is there already, and it is skipped", async () => {
  let asked = 0;
  await using registry = await fakeRegistry((_request, response) => {
    asked += 1;
    response.writeHead(200, { "content-length": content.length });
    if (asked === 1) breakAfter(response, content.subarray(0, 70_000));
    else response.end(content);
  });
  const received = await collect(client.fetchBlob(`${registry.address}/a`, descriptor));
  assert.ok(received.equals(content));
});

connection("another range than the one asked for is an error", async () => {
  let asked = 0;
  await using registry = await fakeRegistry((_request, response) => {
    asked += 1;
    if (asked > 1) return void response.writeHead(206, { "content-range": "bytes 0-9/10" }).end("0123456789");
    response.writeHead(200, { "content-length": content.length });
    breakAfter(response, content.subarray(0, 50_000));
  });
  await rejects(collect(client.fetchBlob(`${registry.address}/a`, descriptor)), "protocol");
});

connection("an upload that breaks starts again from the beginning of its source", async () => {
  const bodies: number[] = [];
  let puts = 0;
  await using registry = await fakeRegistry((request, response, body) => {
    if (request.method === "POST") return void response.writeHead(202, { location: "/upload" }).end();
    bodies.push(body.byteLength);
    puts += 1;
    if (puts === 1) response.socket?.resetAndDestroy();
    else response.writeHead(201).end();
  });
  let opened = 0;
  async function* source() {
    opened += 1;
    yield content;
  }
  await client.uploadBlob(`${registry.address}/a`, { descriptor, source });
  assert.is(opened, 2);
  assert.equal(bodies, [content.byteLength, content.byteLength]);
});

connection("a silent registry is a timeout", async () => {
  await using registry = await fakeRegistry(() => undefined);
  const hasty = new Client({ idleTimeoutMs: 50, retry: impatient });
  await rejects(hasty.blobExists(`${registry.address}/a`, descriptor), "timeout");
});

connection("a registry that falls silent in the middle of a blob is a timeout", async () => {
  await using registry = await fakeRegistry((_request, response) => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 1000));
  });
  const hasty = new Client({ idleTimeoutMs: 100, retry: impatient });
  await rejects(collect(hasty.fetchBlob(`${registry.address}/a`, descriptor)), "timeout");
});

connection("the caller's signal ends a request, and the wait before the next", async () => {
  await using silent = await fakeRegistry(() => undefined);
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 50);
  await rejects(
    client.blobExists(`${silent.address}/a`, descriptor, { signal: controller.signal }),
    "aborted",
  );
  const deadline = AbortSignal.timeout(50);
  await rejects(client.blobExists(`${silent.address}/a`, descriptor, { signal: deadline }), "timeout");
  await using busy = await fakeRegistry((_request, response) => void response.writeHead(503).end());
  const patient = new Client({ retry: { attempts: 3, baseDelayMs: 60_000, maxDelayMs: 60_000 } });
  const waiting = patient.blobExists(`${busy.address}/a`, descriptor, { signal: AbortSignal.timeout(100) });
  await rejects(waiting, "aborted");
});

connection("a registry that is not there is unavailable", async () => {
  const registry = await fakeRegistry(() => undefined);
  await registry[Symbol.asyncDispose]();
  await rejects(client.blobExists(`${registry.address}/a`, descriptor), "unavailable");
});

connection("a source that fails ends the upload with its own error, at once", async () => {
  await using registry = await fakeRegistry((request, response) => {
    if (request.method === "POST") response.writeHead(202, { location: "/upload" }).end();
    else response.writeHead(201).end();
  });
  const lost = new Error("the disk is gone");
  async function* source(): AsyncGenerator<Uint8Array> {
    yield content.subarray(0, 10);
    throw lost;
  }
  const failure = await client
    .uploadBlob(`${registry.address}/a`, { descriptor, source })
    .catch((error) => error);
  assert.is(failure, lost);
  assert.is(registry.seen.filter(({ method }) => method === "POST").length, 1);
});

/** Sends some bytes and hangs up once they have arrived. */
function breakAfter(response: ServerResponse, bytes: Uint8Array): void {
  response.write(bytes, () => setTimeout(() => response.destroy(), 50));
}

connection.run();
