import { closeSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../../../src/native.ts";
import { Guest, Sandbox } from "./guest.ts";
import { now, poll } from "./poll.ts";

const AGAIN = 6;
const test = suite("wasi p1 process, clocks and sockets");

test("arguments and environment", () => {
  const guest = new Guest({
    grant: {
      args: ["prog", "ä b"],
      env: [
        ["A", "1=2"],
        ["EMPTY", ""],
      ],
    },
  });
  const [count, size] = [guest.alloc(4), guest.alloc(4)];
  assert.is(guest.call("args_sizes_get", count, size), 0);
  assert.is(guest.view.getUint32(count, true), 2);
  assert.is(guest.view.getUint32(size, true), Buffer.byteLength("prog\0ä b\0"));
  const [pointers, buffer] = [guest.alloc(8), guest.alloc(64)];
  assert.is(guest.call("args_get", pointers, buffer), 0);
  assert.is(guest.string(guest.view.getUint32(pointers + 4, true), 4), "ä b");
  assert.is(guest.call("environ_get", pointers, buffer), 0);
  assert.is(guest.string(buffer, 14), "A=1=2\0EMPTY=\0\0".slice(0, 14));
});

test("clocks run, and there are four of them", () => {
  const guest = new Guest();
  assert.ok(Math.abs(Number(now(guest, 0) / 1_000_000n) - Date.now()) < 60_000);
  const before = now(guest, 1);
  assert.ok(before <= now(guest, 1));
  for (const id of [0, 1, 2, 3]) assert.is(guest.call("clock_res_get", id, guest.alloc(8)), 0);
  assert.is(guest.call("clock_time_get", 4, 0n, guest.alloc(8)), 28);
});

test("random bytes differ", () => {
  const guest = new Guest();
  const [a, b] = [guest.alloc(32), guest.alloc(32)];
  assert.is(guest.call("random_get", a, 32), 0);
  assert.is(guest.call("random_get", b, 32), 0);
  assert.not.equal(guest.string(a, 32), guest.string(b, 32));
  assert.is(guest.call("random_get", a, 0), 0);
});

test("proc_exit and proc_raise end the guest with the status a Linux process would have", () => {
  for (const [name, value, status] of [
    ["proc_exit", 7, 7],
    ["proc_exit", 256 + 3, 3],
    ["proc_exit", -1, 255],
    ["proc_raise", 6, 134],
    ["proc_raise", 15, 143],
  ] as const) {
    const guest = new Guest();
    assert.throws(() => guest.call(name, value), "exit");
    assert.is(guest.exited, status);
  }
  assert.is(new Guest().call("proc_raise", 16), 0, "SIGCHLD is ignored");
  assert.is(new Guest().call("proc_raise", 99), 28);
  assert.is(new Guest().call("sched_yield"), 0);
});

test("poll waits for clocks, relative and absolute", () => {
  const guest = new Guest();
  const before = now(guest, 1);
  const { events } = poll(guest, [
    { userdata: 5n, clock: { id: 1, timeout: 20_000_000n } },
    { userdata: 6n, clock: { id: 0, timeout: 3_600_000_000_000n } },
  ]);
  assert.equal(events, [[5n, 0, 0]]);
  assert.ok(now(guest, 1) - before >= 20_000_000n);
  assert.equal(poll(guest, [{ userdata: 1n, clock: { id: 1, timeout: 1n, absolute: true } }]).events, [
    [1n, 0, 0],
  ]);
  assert.is(poll(guest, []).error, 28);
});

test("poll tells what is ready and which descriptors are none", () => {
  const [stdin, stdout] = native.socketpair();
  try {
    const guest = new Guest({ grant: { stdio: { stdin, stdout, stderr: -1 } } });
    const subscriptions = [
      { userdata: 1n, read: 0 },
      { userdata: 2n, write: 1 },
      { userdata: 3n, read: 77 },
    ];
    assert.equal(poll(guest, subscriptions).events, [
      [2n, 0, 2],
      [3n, 8, 1],
    ]);
    guest.write(1, "x");
    assert.equal(poll(guest, subscriptions.slice(0, 1)).events, [[1n, 0, 1]]);
  } finally {
    closeSync(stdin);
    closeSync(stdout);
  }
});

function listening(server: Server): number {
  const handle: unknown = Reflect.get(server, "_handle");
  return handle instanceof Object ? Number(Reflect.get(handle, "fd")) : -1;
}

test("a granted listener accepts, receives, peeks, sends and shuts down", async () => {
  using sandbox = new Sandbox();
  const server = createServer();
  const path = join(sandbox.path, "socket");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const guest = new Guest({ grant: { listeners: [listening(server)] } });
  try {
    const result = guest.alloc(4);
    guest.call("fd_fdstat_set_flags", 3, 4);
    assert.is(guest.call("sock_accept", 3, 0, result), AGAIN);
    const client = connect(path);
    client.write("ping");
    const answer = new Promise<string>((resolve) => client.once("data", (data) => resolve(data.toString())));
    const ended = new Promise((resolve) => client.once("end", resolve));
    client.unref();
    // connect(2) and write(2) of a unix socket are done within their calls, so nothing has to be waited for.
    guest.call("fd_fdstat_set_flags", 3, 0);
    assert.is(guest.call("sock_accept", 3, 0, result), 0);
    const fd = guest.view.getUint32(result, true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(receive(guest, fd, 1), [0, "ping"]);
    assert.equal(receive(guest, fd, 0), [0, "ping"]);
    assert.equal(send(guest, fd, "pong"), [0, 4]);
    assert.is(guest.call("sock_shutdown", fd, 2), 0);
    assert.is(await answer, "pong");
    await ended;
    assert.is(guest.call("sock_shutdown", fd, 0), 28);
    assert.is(guest.call("fd_close", fd), 0);
    client.destroy();
  } finally {
    server.close();
  }
});

function vector(guest: Guest, at: number, length: number): number {
  const iovec = guest.alloc(8);
  guest.view.setUint32(iovec, at, true);
  guest.view.setUint32(iovec + 4, length, true);
  return iovec;
}

function receive(guest: Guest, fd: number, flags: number): [number, string] {
  const buffer = guest.alloc(64);
  const result = guest.alloc(4);
  const error = guest.call("sock_recv", fd, vector(guest, buffer, 64), 1, flags, result, guest.alloc(2));
  return [error, guest.string(buffer, guest.view.getUint32(result, true))];
}

function send(guest: Guest, fd: number, text: string): [number, number] {
  const result = guest.alloc(4);
  const error = guest.call("sock_send", fd, vector(guest, ...guest.text(text)), 1, 0, result);
  return [error, guest.view.getUint32(result, true)];
}

test("what is no socket says so", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  assert.is(guest.call("sock_accept", 3, 0, guest.alloc(4)), 57);
  assert.is(guest.call("sock_shutdown", 3, 1), 57);
  assert.is(guest.call("sock_shutdown", 50, 1), 8);
});

test.run();
