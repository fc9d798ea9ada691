/** Components that componentize-js makes of JavaScript: SpiderMonkey and the program in one, by the interfaces of WASI 0.2. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeJavascript } from "../../scripts/programs/javascript.ts";
import { GuestRuns } from "./guest-runs.ts";

const test = suite("JavaScript by componentize-js");
const guests = new GuestRuns();
test.after(() => guests[Symbol.dispose]());

test("a command: arguments, environment, files by the host's interfaces, what was thrown", async () => {
  const command = await makeJavascript("command");
  // Its engine imports wasi:http, used or not.
  const flags = guests.withWork("--env", "A=b", "-S", "http");
  const { status, stdout, stderr } = await guests.runAsWasmtime(command, ["x", "y z"], { flags });
  assert.is(status, 0, stderr);
  const lines = [
    'x|y z [["A","b"]]',
    "/work 22n written by JavaScript",
    "regular-file made.txt",
    "refused: not-permitted",
    "25009 06.05.2024 1267650600228229401496703205376n",
  ];
  assert.is(stdout, `${lines.join("\n")}\n`);
  const failed = await guests.runAsWasmtime(command, ["fail"], { flags });
  assert.is(failed.status, 1);
});

test("functions with records, lists and results, by name", async () => {
  const library = await makeJavascript("library");
  const words = await guests.run(library, [], { flags: ["--invoke", 'words("b a b, ä ä ä")'] });
  assert.is(words.stdout, '[{text: "ä", count: 3}, {text: "b", count: 2}, {text: "a", count: 1}]\n');
  const object = await guests.run(library, [], {
    flags: ["--invoke", String.raw`evaluate("{\"b\": 1, \"a\": [2]}")`],
  });
  assert.is(object.stdout, `${String.raw`ok("{\"a\":[2],\"b\":1}")`}\n`);
  const wrong = await guests.run(library, [], { flags: ["--invoke", 'evaluate("{")'] });
  assert.is(wrong.stdout, 'err("SyntaxError")\n');
});

test("a service by the web's interfaces: JSON, digests, streams, requests of its own, exceptions", async () => {
  const service = await makeJavascript("service");
  const other = createServer((_, response) => response.writeHead(418).end("a teapot"));
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  const there = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  const server = await guests.serve(service, ["--allow", there]);
  try {
    const get = async (path: string, init?: RequestInit): Promise<string> => {
      const answer = await fetch(server.address + path, init);
      return `${answer.status} ${await answer.text()}`;
    };
    assert.is(await get(""), "200 hello\n");
    const sum = await get("sum?a=b&c=%20d", { method: "POST", body: "[1, 2, 3.5]" });
    assert.is(sum, '200 {"sum":6.5,"query":{"a":"b","c":" d"}}');
    const digest = await get("digest", { method: "POST", body: "abc" });
    assert.is(digest, "200 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert.is(await get("stream"), "200 4 3 2 1 0 ");
    assert.is(await get(`proxy?to=http://${there}/`), "200 418 a teapot");
    assert.match(await get("proxy?to=http://127.0.0.1:1/"), /^500 /);
    assert.match(await get("throw"), /^500 /);
    // Each request has an instance of its own.
    assert.is(await get("count"), "200 1");
    assert.is(await get("count"), "200 1");
    assert.is(await get("nothing"), "404 no such page\n");
  } finally {
    await server.end();
    other.close();
  }
});

test.run();
