import { execFile, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect, type ServiceImpl, TtrpcError } from "../src/index.ts";
import { Echo } from "./gen/echo_pb.ts";
import { Harness, within } from "./harness.ts";

const run = promisify(execFile);

/** Builds the peer; returns why not when that is impossible here. */
function build(directory: string): string | undefined {
  const version = /go1\.(\d+)/.exec(spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" }).stdout ?? "");
  if (version === null || Number(version[1]) < 26) return "Go 1.26 or later is not on PATH";
  cpSync(join(import.meta.dirname, "interop"), directory, { recursive: true });
  const options = { cwd: directory, encoding: "utf8", timeout: 300_000 } as const;
  const built = spawnSync("go", ["build", "-mod=mod", "-o", "peer", "."], options);
  if (built.status === 0) return undefined;
  // Without the module proxy there is nothing to test against; a peer that does not compile is a failure.
  if (/dial tcp|no such host|proxy/.test(built.stderr)) return "the Go module proxy is out of reach";
  throw new Error(`go build: ${built.stderr}`);
}

const implementation: ServiceImpl<typeof Echo> = {
  say: (request, context) => {
    if (request.text === "missing") throw new TtrpcError("not_found", "no such thing");
    if (request.text === "hang") return new Promise(() => undefined);
    return { text: `${request.text} ${context.metadata.get("key")?.[0] ?? ""}` };
  },
  async *count(request) {
    for (const text of ["0", "1", "2"]) yield { text: request.text + text };
  },
  async collect(requests) {
    let text = "";
    for await (const request of requests) text += request.text;
    return { text };
  },
  async *chat(requests) {
    for await (const request of requests) yield { text: `${request.text}!` };
  },
};

async function* texts(...all: string[]) {
  for (const text of all) yield { text };
}

async function textsOf(replies: AsyncIterable<{ readonly text: string }>): Promise<string[]> {
  const all: string[] = [];
  for await (const reply of replies) all.push(reply.text);
  return all;
}

const directory = mkdtempSync(join(tmpdir(), "ttrpc-go-"));
const missing = build(directory);
const peer = join(directory, "peer");
const test = suite(missing === undefined ? "interop with containerd/ttrpc" : `interop (skipped: ${missing})`);
const check = missing === undefined ? test : test.skip;

test.after(() => rmSync(directory, { recursive: true, force: true }));

check("containerd's client talks to our server, unary and streaming", async () => {
  await using harness = await Harness.start(implementation);
  const { stdout } = await run(peer, ["client", harness.path], { timeout: 20_000 });
  assert.equal(stdout.trim().split("\n"), [
    "say hello value",
    "missing NotFound no such thing",
    "unknown Unimplemented",
    "hang true",
    "count n0",
    "count n1",
    "count n2",
    "count end",
    "collect ab",
    "chat a!",
    "chat b!",
    "chat end",
  ]);
});

check("our client talks to containerd's server, unary and streaming", async () => {
  const path = join(directory, "s");
  const child = spawn(peer, ["server", path], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await within(new Promise((resolve) => child.stdout.once("data", resolve)), "the Go server");
    await using client = await connect(path);
    const echo = client.service(Echo);
    const reply = await within(
      echo.say({ text: "hello" }, { metadata: { key: "value" }, timeoutMs: 5000 }),
      "say",
    );
    assert.is(reply.text, "hello value");
    const error = await within(
      echo.say({ text: "missing" }).then(() => undefined, TtrpcError.from),
      "missing",
    );
    assert.equal([error?.code, error?.message], ["not_found", "no such thing"]);
    assert.equal(await within(textsOf(echo.count({ text: "n" })), "count"), ["n0", "n1", "n2"]);
    assert.is((await within(echo.collect(texts("a", "b")), "collect")).text, "ab");
    assert.equal(await within(textsOf(echo.chat(texts("a", "b"))), "chat"), ["a!", "b!"]);
  } finally {
    child.kill("SIGKILL");
  }
});

test.run();
