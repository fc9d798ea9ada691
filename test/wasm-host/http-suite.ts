import { once } from "node:events";
import { Agent, type IncomingMessage, request as sendRequest } from "node:http";
import { connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/native.ts";
import { ComponentCode } from "../../wasm-host/component-code.ts";
import type { HttpLimits } from "../../wasm-host/http/limits.ts";
import { type HttpService, type ServeOptions, serveHttp } from "../../wasm-host/http/serve.ts";
import { LinkedCode } from "../../wasm-host/linked/linked-code.ts";
import type { ComponentGrant } from "../../wasm-host/wasi/p2/imports.ts";
import {
  buildGuest,
  createScratch,
  type GuestKind,
  grantOf,
  linkGuest,
  Stdio,
  transpileGuest,
} from "./guests/guest.ts";

/**
 * What must hold of a served component whatever version of wasi:http it is made for: the guests of both answer the same paths.
 */
export interface Served {
  readonly service: HttpService;
  readonly stdio: Stdio;
  get(
    path: string,
    body?: string | Buffer,
  ): Promise<{ status: number | undefined; body: string; message: IncomingMessage }>;
}

export type Serving = (
  use: (served: Served) => Promise<void>,
  limits?: Partial<HttpLimits>,
  network?: ComponentGrant["network"],
) => Promise<void>;

/** How a guest is put together. */
export type Loading = (path: string, scratch: string) => Promise<ServeOptions["code"]>;

/** By jco's glue. */
export async function byGlue(path: string, scratch: string): Promise<ComponentCode> {
  return new ComponentCode({ files: await transpileGuest(path, scratch) });
}

/** By a link plan. */
export async function byPlan(path: string, scratch: string): Promise<LinkedCode> {
  const { plan, modules: bytes, manifest } = await linkGuest(path, scratch);
  const modules = new Map([...bytes].map(([name, content]) => [name, new WebAssembly.Module(content)]));
  return new LinkedCode({
    plan,
    modules,
    imports: manifest.imports,
    memfd: native.memfd("images", Buffer.alloc(0)),
  });
}

/** Builds the guest, and adds the tests to `test`. Returns what serves it, for further ones. */
export async function addHttpTests(
  test: ReturnType<typeof suite>,
  kind: GuestKind,
  load: Loading = byGlue,
): Promise<Serving> {
  const scratch = createScratch();
  const code = await load(buildGuest(kind, scratch), scratch);

  /** Serves on a free port for as long as `use` runs. */
  async function serving(
    use: (served: Served) => Promise<void>,
    limits: Partial<HttpLimits> = {},
    network?: ComponentGrant["network"],
  ): Promise<void> {
    const stdio = new Stdio(scratch);
    const grant = { ...grantOf([], stdio), ...(network === undefined ? {} : { network }) };
    const service = await serveHttp({
      code,
      grant,
      address: { host: "127.0.0.1", port: 0 },
      limits: { drainTimeoutMs: 500, ...limits },
    });
    const agent = new Agent({ keepAlive: true });
    const get: Served["get"] = async (path, body) => {
      const message = sendRequest({
        host: "127.0.0.1",
        port: service.address.port,
        path,
        method: body === undefined ? "GET" : "POST",
        agent,
      });
      message.end(body);
      const [response] = (await once(message, "response")) as [IncomingMessage];
      return { status: response.statusCode, body: await text(response), message: response };
    };
    try {
      await use({ service, stdio, get });
    } finally {
      agent.destroy();
      await service.close();
      stdio.close();
    }
  }

  test("A component answers a request", () =>
    serving(async ({ get }) => {
      const { status, body } = await get("/");
      assert.is(status, 200);
      assert.is(body, "hello\n");
    }));

  test("Each request gets a fresh instance", () =>
    serving(async ({ get }) => {
      assert.is((await get("/count")).body, "1");
      assert.is((await get("/count")).body, "1");
    }));

  test("An instance serves as many requests as it may", () =>
    serving(
      async ({ get }) => {
        const counts = [];
        for (let index = 0; index < 4; index++) counts.push((await get("/count")).body);
        assert.equal(counts, ["1", "2", "3", "1"]);
      },
      { maxInstanceReuseCount: 3 },
    ));

  test("A body of three megabytes is streamed in and out", () =>
    serving(async ({ get }) => {
      const body = "0123456789abcdef".repeat(196_608);
      assert.ok((await get("/echo", body)).body === body);
    }));

  test("Trailers arrive", () =>
    serving(async ({ get }) => {
      const { message } = await get("/trailers");
      assert.is(message.trailers["x-checksum"], "abc");
    }));

  test("A slow reader holds the guest back instead of filling memory", () =>
    serving(async ({ service, get }) => {
      const socket = connect(service.address.port, "127.0.0.1");
      socket.pause();
      socket.write("GET /big HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
      await sleep(200);
      assert.ok(process.memoryUsage().external < 500e6);
      assert.is((await get("/")).status, 200, "others are served meanwhile");
      let received = 0;
      socket.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      socket.resume();
      await once(socket, "close");
      assert.ok(received > 8 * 1024 * 1024, `${received} bytes`);
    }));

  test("Requests that wait do so at the same time", () =>
    serving(async ({ get }) => {
      const started = performance.now();
      await Promise.all(Array.from({ length: 20 }, () => get("/sleep")));
      assert.ok(
        performance.now() - started < 5_000,
        "twenty sleeps of 300 ms, one after the other, take 6 s",
      );
    }));

  test("More requests than may run at once wait their turn", () =>
    serving(
      async ({ get }) => {
        const started = performance.now();
        const answers = await Promise.all([get("/sleep"), get("/sleep")]);
        assert.equal(
          answers.map(({ status }) => status),
          [200, 200],
        );
        assert.ok(performance.now() - started >= 600);
      },
      { maxConcurrentRequests: 1 },
    ));

  test("A request too many to wait is answered with 503", () =>
    serving(
      async ({ get }) => {
        const answers = await Promise.all([get("/sleep"), get("/sleep"), get("/sleep")]);
        assert.equal(answers.map(({ status }) => status).sort(), [200, 200, 503]);
      },
      { maxConcurrentRequests: 1, maxWaitingRequests: 1 },
    ));

  test("A client that leaves while its answer is written costs nothing but its request", () =>
    serving(async ({ service, get, stdio }) => {
      const socket = connect(service.address.port, "127.0.0.1");
      socket.write("GET /big HTTP/1.1\r\nhost: x\r\n\r\n");
      await once(socket, "data");
      socket.destroy();
      assert.is((await get("/")).status, 200);
      await sleep(50);
      assert.is(stdio.err, "");
    }));

  test("A HEAD request has no body, and its connection serves the next", () =>
    serving(async ({ service }) => {
      const socket = connect(service.address.port, "127.0.0.1");
      socket.write(
        "HEAD / HTTP/1.1\r\nhost: x\r\n\r\nGET /count HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
      );
      const answer = await text(socket);
      assert.is(answer.match(/HTTP\/1\.1 200/g)?.length, 2);
      assert.not.match(answer, /hello/);
    }));

  test("A trap costs its request, not the server", () =>
    serving(async ({ get, stdio }) => {
      assert.is((await get("/trap")).status, 500);
      assert.is((await get("/")).status, 200);
      assert.match(
        stdio.err,
        /^tandem: GET \/trap: component trapped: unreachable\nwasm backtrace:\n +0: .*wasm-function/,
      );
    }));

  test("A trap after the answer has begun is not passed off as its end", () =>
    serving(async ({ get }) => {
      const answer = await get("/late").catch((error: Error) => error);
      // Nothing may have been sent yet: then it is the host's answer.
      if (answer instanceof Error) assert.match(answer.message, /aborted|hang up/);
      else assert.is(answer.status, 500);
      assert.is((await get("/")).status, 200);
    }));

  test("No answer is a 500", () =>
    serving(async ({ get, stdio }) => {
      assert.is((await get("/none")).status, 500);
      assert.match(stdio.err, /GET \/none: component trapped: .*without (an answer|resolution)/);
    }));

  test("A body shorter than its content-length is not passed off as whole", () =>
    serving(async ({ get }) => {
      assert.match(await failureOf(get("/short")), /aborted|hang up/);
    }));

  test("A body that announces too much is refused with 413", () =>
    serving(
      async ({ get }) => {
        assert.is((await get("/echo", "x".repeat(1025))).status, 413);
        assert.is((await get("/echo", "x".repeat(1024))).status, 200);
      },
      { maxBodyBytes: 1024 },
    ));

  test("A request that takes too long is answered with 504", () =>
    serving(
      async ({ get }) => {
        assert.is((await get("/sleep")).status, 504);
      },
      { requestTimeoutMs: 50 },
    ));

  test("No host can be reached unless it is granted", async () => {
    await serving(async ({ get, service }) => {
      assert.is((await get(`/fetch?127.0.0.1:${service.address.port}`)).status, 403);
    });
    const network = { outbound: ["127.0.0.1"], inbound: [] };
    await serving(
      async ({ get, service }) => {
        const { status, body } = await get(`/fetch?127.0.0.1:${service.address.port}`);
        assert.is(status, 200);
        assert.is(body, "hello\n");
        assert.is((await get(`/fetch?localhost:${service.address.port}`)).status, 403);
      },
      {},
      network,
    );
  });

  test("A host that refuses the connection is an error the guest can see", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const address = closed.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    closed.close();
    await once(closed, "close");
    await serving(
      async ({ get }) => {
        assert.is((await get(`/fetch?127.0.0.1:${port}`)).status, 502);
      },
      {},
      { outbound: ["*"], inbound: [] },
    );
  });

  test("A port that is taken is one line", () =>
    serving(async ({ service, stdio }) => {
      const { port } = service.address;
      const second = serveHttp({ code, grant: grantOf([], stdio), address: { host: "127.0.0.1", port } });
      assert.is(await failureOf(second), `http: 127.0.0.1:${port} is taken failed_precondition`);
    }));

  test("Closing waits for the request in flight and takes no new one", () =>
    serving(async ({ get, service }) => {
      const inFlight = get("/sleep");
      await sleep(100);
      const closed = service.close();
      assert.is((await inFlight).status, 200);
      await closed;
      assert.match(await failureOf(get("/")), /ECONNREFUSED|ECONNRESET|hang up/);
    }));

  test("Closing gives up on a request after the drain time", () =>
    serving(
      async ({ get, service }) => {
        const inFlight = failureOf(get("/sleep"));
        await sleep(50);
        await service.close();
        assert.match(await inFlight, /hang up|aborted|ECONNRESET/);
      },
      { drainTimeoutMs: 50 },
    ));

  test("Garbage instead of a request is answered with 400", () =>
    serving(async ({ service, get }) => {
      const socket = connect(service.address.port, "127.0.0.1");
      socket.write("\x00\x01 garbage\r\n\r\n");
      assert.match(await text(socket), /^HTTP\/1\.1 400/);
      assert.is((await get("/")).status, 200);
    }));

  return serving;
}

export async function failureOf(action: Promise<unknown>): Promise<string> {
  try {
    await action;
  } catch (error) {
    return error instanceof Error
      ? `${error.message} ${"code" in error ? error.code : ""}`.trim()
      : String(error);
  }
  return "did not fail";
}
