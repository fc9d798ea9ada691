/** Programs that know nothing of WASI's sockets but what their language makes of them. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ensureTranspiled } from "../../src/image/transpile.ts";
import type { NetworkGrant } from "../../wasm-host/grant.ts";
import { createScratch, digestOf } from "./guests/guest.ts";
import { DnsServer } from "./network/dns-server.ts";
import { compileC } from "./wasi/p1/compile-c.ts";

const test = suite("programs with sockets");
const scratch = createScratch();
const here = fileURLToPath(new URL(".", import.meta.url));
const loopback: NetworkGrant = { outbound: ["127.0.0.1"], inbound: ["127.0.0.1:0-65535"] };

const children: ChildProcess[] = [];
test.after(() => {
  for (const child of children) child.kill("SIGKILL");
});

/** Directory of the transpiled Rust program; a reason when there is no Rust that makes components. */
async function buildRust(): Promise<string | Error> {
  const path = join(scratch, "echo.wasm");
  try {
    execFileSync(
      "rustc",
      ["--edition", "2021", "-O", "--target", "wasm32-wasip2", join(here, "guests/echo.rs"), "-o", path],
      {
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
  } catch (error) {
    if (!/ENOENT|can't find crate for `std`|could not find specification/.test(String(error))) throw error;
    return new Error("no Rust with wasm32-wasip2");
  }
  const { dir } = await ensureTranspiled({ path, digest: digestOf(path), stateDir: join(scratch, "state") });
  return dir;
}

const rust = await buildRust();

function withRust(name: string, body: (directory: string) => Promise<void>): void {
  if (rust instanceof Error) test.skip(`${name} (${rust.message})`, () => undefined);
  else test(name, () => body(rust));
}

interface Running {
  readonly child: ChildProcess;
  /** The next line of its stdout; undefined at the end. */
  line(): Promise<string | undefined>;
  /** Its exit status, once it has ended. */
  readonly status: Promise<number | null>;
  readonly stderr: () => string;
}

function run(script: string, args: readonly string[], stdio: readonly (number | "ignore")[] = []): Running {
  const child = spawn(process.execPath, ["--no-warnings", join(here, script), ...args], {
    stdio: ["ignore", "pipe", "pipe", ...stdio],
  });
  children.push(child);
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("no pipes");
  let errors = "";
  stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const status = once(child, "close").then(([code]) => code as number | null);
  return {
    child,
    status,
    stderr: () => errors,
    line: async () => (await lines.next()).value as string | undefined,
  };
}

function runRust(directory: string, network: NetworkGrant | null, ...args: readonly string[]): Running {
  return run("guests/run-component.ts", [directory, JSON.stringify(network), ...args]);
}

async function outputOf({ line, status, stderr }: Running): Promise<string> {
  const lines: string[] = [];
  for (let next = await line(); next !== undefined; next = await line()) lines.push(next);
  assert.is(await status, 0, stderr());
  return lines.join("\n");
}

function portOf(address: string | undefined): number {
  return Number(address?.split(":").at(-1));
}

/** Sends everything, ends, and takes what comes back. */
async function exchange(port: number, data: Buffer): Promise<Buffer> {
  const client = connect(port, "127.0.0.1");
  await once(client, "connect");
  client.end(data);
  return Buffer.concat(await client.toArray());
}

withRust("A server of std::net gives back what a client sends, to the last byte", async (directory) => {
  const server = runRust(directory, loopback, "serve", "127.0.0.1:0", "2");
  const port = portOf(await server.line());
  // More than all buffers on the way hold, so both sides have to wait for each other.
  const data = Buffer.alloc(12_000_000, "0123456789abcdef-");
  assert.ok((await exchange(port, data)).equals(data));
  assert.is((await exchange(port, Buffer.from("again"))).toString(), "again");
  assert.is(await server.status, 0, server.stderr());
});

withRust("Two guests talk to each other, by name", async (directory) => {
  const server = runRust(directory, loopback, "serve", "127.0.0.1:0", "1");
  const port = portOf(await server.line());
  const grant = { outbound: [`localhost:${port}`], inbound: [] };
  assert.is(await outputOf(runRust(directory, grant, "talk", `localhost:${port}`, "hello")), "hello");
  assert.is(await server.status, 0);
});

withRust("Datagrams of std::net go to and fro", async (directory) => {
  const server = runRust(directory, loopback, "datagrams", "127.0.0.1:0", "2");
  const port = portOf(await server.line());
  const client = createSocket("udp4");
  client.send("from outside", port, "127.0.0.1");
  const [answer] = await once(client, "message");
  client.close();
  assert.is(String(answer), "from outside");
  const grant = { outbound: [`127.0.0.1:${port}`], inbound: [] };
  assert.is(
    await outputOf(runRust(directory, grant, "ask", `127.0.0.1:${port}`, "from a guest")),
    "from a guest",
  );
  assert.is(await server.status, 0);
});

withRust("Names are looked up while the thread waits", async (directory) => {
  const server = new DnsServer(({ name, type }) =>
    name === "db.svc.test" && type === 1 ? { records: [[name, 1, Uint8Array.of(10, 1, 2, 3)]] } : { code: 3 },
  );
  await server.listen("127.53.4.1");
  try {
    const resolver = { resolvConf: "nameserver 127.53.4.1\nsearch svc.test\n", hosts: "" };
    const grant = { outbound: ["db", "gone"], inbound: [], resolver };
    assert.is(await outputOf(runRust(directory, grant, "resolve", "db")), "10.1.2.3");
    const gone = runRust(directory, grant, "resolve", "gone");
    assert.is(await gone.status, 1);
    assert.match(
      gone.stderr(),
      /failed to lookup address|Name does not resolve|nonrecoverable|unknown error/i,
    );
  } finally {
    server.close();
  }
});

withRust("What is not granted is an error that the program can handle", async (directory) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  let connections = 0;
  server.on("connection", () => connections++);
  for (const grant of [null, { outbound: ["10.0.0.0/8", "example.com"], inbound: [] }]) {
    const denied = runRust(directory, grant, "talk", `127.0.0.1:${port}`, "hello");
    assert.is(await denied.status, 1);
    assert.match(denied.stderr(), /Permission denied|PermissionDenied/);
  }
  assert.is(connections, 0);
  server.close();
});

const echoC = `
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
  char buffer[4096];
  for (int served = 0; served < 2; served++) {
    struct pollfd waiting = {3, POLLRDNORM, 0};
    if (poll(&waiting, 1, 10000) != 1) return 2;
    int connection = accept(3, NULL, NULL);
    if (connection < 0) { printf("accept: %s\\n", strerror(errno)); return 1; }
    ssize_t length;
    while ((length = recv(connection, buffer, sizeof buffer, 0)) > 0)
      for (ssize_t sent = 0; sent < length;) {
        ssize_t count = send(connection, buffer + sent, (size_t)(length - sent), 0);
        if (count < 0) return 3;
        sent += count;
      }
    shutdown(connection, SHUT_WR);
    close(connection);
  }
  puts("done");
  return 0;
}`;

test("A server in C on a listener that it was granted, WASI 0.1", async () => {
  const wasm = compileC(echoC);
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const handle: unknown = Reflect.get(listener, "_handle");
  const fd = handle instanceof Object ? Number(Reflect.get(handle, "fd")) : -1;
  const guest = run("wasi/p1/run-guest.ts", [JSON.stringify({ wasm, listeners: [3] })], [fd]);
  // Only the guest accepts: this process's own descriptor must go.
  listener.close();
  const data = Buffer.alloc(3_000_000, "0123456789");
  assert.ok((await exchange(port, data)).equals(data));
  assert.is((await exchange(port, Buffer.from("again"))).toString(), "again");
  assert.is(await outputOf(guest), "done");
});

test.run();
