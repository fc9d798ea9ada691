import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../../../src/native.ts";
import { sockaddrFrom } from "../../../../wasm-host/network/sockaddr.ts";
import { Guest } from "./guest.ts";

const test = suite("sockets of WASI 0.1");
const AGAIN = 6;
const NONBLOCK = 4;
const LISTENER = 3;
const loopback = Uint8Array.of(127, 0, 0, 1);
const [EVENT_CLOCK, EVENT_READ, EVENT_WRITE] = [0, 1, 2];
const HANGUP = 1;

function must(result: number): number {
  if (result < 0) throw new Error(`errno ${-result}`);
  return result;
}

/** A guest that was granted a TCP listener, and the addresses to reach it. */
class Host {
  readonly #listener = must(native.socketOpen(4, 1));
  readonly #name = sockaddrFrom({ address: loopback, port: 0 });
  readonly #open: number[] = [];
  readonly guest: Guest;

  constructor() {
    must(native.socketBind(this.#listener, this.#name));
    must(native.socketListen(this.#listener, 8));
    must(native.socketAddress(this.#listener, this.#name));
    this.guest = new Guest({ grant: { listeners: [this.#listener] } });
  }

  /** [the guest's descriptor, ours] of a new connection. */
  connect(flags = 0): [number, number] {
    const ours = must(native.socketOpen(4, 1));
    this.#open.push(ours);
    native.socketConnect(ours, this.#name);
    const result = this.guest.alloc(4);
    assert.is(this.guest.call("sock_accept", LISTENER, flags, result), 0);
    return [this.guest.view.getUint32(result, true), ours];
  }

  [Symbol.dispose](): void {
    for (const fd of [this.#listener, ...this.#open]) native.close(fd);
  }
}

/** iovecs over one buffer of this size. */
function vector(guest: Guest, size: number): number {
  const iovec = guest.alloc(8);
  guest.view.setUint32(iovec, 65_536, true);
  guest.view.setUint32(iovec + 4, size, true);
  return iovec;
}

function send(guest: Guest, fd: number, size: number): [number, number] {
  const result = guest.alloc(4);
  const error = guest.call("sock_send", fd, vector(guest, size), 1, 0, result);
  return [error, guest.view.getUint32(result, true)];
}

function write(guest: Guest, fd: number, size: number): [number, number] {
  const result = guest.alloc(4);
  const error = guest.call("fd_write", fd, vector(guest, size), 1, result);
  return [error, guest.view.getUint32(result, true)];
}

function receive(guest: Guest, fd: number, flags = 0, size = 64): [number, number] {
  const result = guest.alloc(4);
  const error = guest.call("sock_recv", fd, vector(guest, size), 1, flags, result, guest.alloc(2));
  return [error, guest.view.getUint32(result, true)];
}

interface Event {
  readonly userdata: number;
  readonly error: number;
  readonly type: number;
  readonly bytes: number;
  readonly flags: number;
}

/** [type, descriptor or nanoseconds] of each subscription; userdata is its place. */
function poll(guest: Guest, subscriptions: readonly (readonly [type: number, what: number])[]): Event[] {
  const at = guest.alloc(48 * subscriptions.length);
  const out = guest.alloc(32 * subscriptions.length);
  const count = guest.alloc(4);
  for (const [index, [type, what]] of subscriptions.entries()) {
    const one = at + 48 * index;
    new Uint8Array(guest.memory.buffer, one, 48).fill(0);
    guest.view.setBigUint64(one, BigInt(index), true);
    guest.view.setUint8(one + 8, type);
    if (type === EVENT_CLOCK) {
      guest.view.setUint32(one + 16, 1, true);
      guest.view.setBigUint64(one + 24, BigInt(what), true);
    } else guest.view.setUint32(one + 16, what, true);
  }
  assert.is(guest.call("poll_oneoff", at, out, subscriptions.length, count), 0);
  return Array.from({ length: guest.view.getUint32(count, true) }, (_, index) => {
    const one = out + 32 * index;
    return {
      userdata: Number(guest.view.getBigUint64(one, true)),
      error: guest.view.getUint16(one + 8, true),
      type: guest.view.getUint8(one + 10),
      bytes: Number(guest.view.getBigUint64(one + 16, true)),
      flags: guest.view.getUint16(one + 24, true),
    };
  });
}

test("A connection that does not block takes what there is room for", () => {
  using host = new Host();
  const { guest } = host;
  for (const put of [send, write]) {
    const [fd] = host.connect(NONBLOCK);
    let total = 0;
    for (;;) {
      const [error, count] = put(guest, fd, 150_000);
      if (error !== 0) {
        assert.is(error, AGAIN, put.name);
        break;
      }
      assert.ok(count > 0);
      total += count;
      // Buffers of loopback sockets grow to some megabytes; a call that waited would never come back.
      assert.ok(total < 100_000_000);
    }
    assert.is(guest.call("fd_close", fd), 0);
  }
});

test("A connection that does not block waits for nothing, not even for the whole buffer", () => {
  using host = new Host();
  const [fd, ours] = host.connect(NONBLOCK);
  const WAITALL = 2;
  assert.equal(receive(host.guest, fd)[0], AGAIN);
  must(native.socketSend(ours, Buffer.from("abc"), 0, 3));
  assert.equal(receive(host.guest, fd, WAITALL, 1000), [0, 3]);
});

test("Flags that nobody has defined are invalid", () => {
  using host = new Host();
  const [fd] = host.connect();
  assert.is(receive(host.guest, fd, 4)[0], 28);
  const result = host.guest.alloc(4);
  assert.is(host.guest.call("sock_send", fd, vector(host.guest, 1), 1, 1, result), 28);
  assert.is(host.guest.call("sock_shutdown", fd, 4), 28);
});

test("A peer that is gone is an errno and no signal", () => {
  using host = new Host();
  const [fd, ours] = host.connect();
  must(native.socketShutdown(ours, 2));
  assert.equal(receive(host.guest, fd), [0, 0]);
  const RESET = 15;
  const PIPE = 64;
  let error = 0;
  for (let tries = 0; error === 0 && tries < 10; tries++) [error] = send(host.guest, fd, 100_000);
  assert.ok(error === PIPE || error === RESET, String(error));
});

test("Several connections, the listener and a clock are polled at once", () => {
  using host = new Host();
  const { guest } = host;
  const [first, oursFirst] = host.connect();
  const [second] = host.connect();
  const reading: [number, number][] = [
    [EVENT_READ, first],
    [EVENT_READ, second],
    [EVENT_READ, LISTENER],
  ];
  assert.equal(
    poll(guest, [...reading, [EVENT_CLOCK, 1_000_000], [EVENT_CLOCK, 60_000_000_000]]).map(
      ({ userdata, type }) => [userdata, type],
    ),
    [[3, EVENT_CLOCK]],
  );
  must(native.socketSend(oursFirst, Buffer.from("abc"), 0, 3));
  const events = poll(guest, [...reading, [EVENT_WRITE, second], [EVENT_CLOCK, 60_000_000_000]]);
  assert.equal(
    events.map(({ userdata, error, type }) => [userdata, error, type]),
    [
      [0, 0, EVENT_READ],
      [3, 0, EVENT_WRITE],
    ],
  );
  assert.is(events[0]?.bytes, 3);
  assert.is(events[0]?.flags, 0);
  using other = new Host();
  const [third] = other.connect();
  assert.equal(
    poll(guest, [
      [EVENT_READ, 77],
      [EVENT_READ, first],
    ]).map(({ userdata, error }) => [userdata, error]),
    [
      [0, 8],
      [1, 0],
    ],
  );
  assert.is(other.guest.call("fd_close", third), 0);
});

test("A peer that has ended is told of by the hangup flag", () => {
  using host = new Host();
  const [fd, ours] = host.connect();
  must(native.socketShutdown(ours, 1));
  const [event] = poll(host.guest, [[EVENT_READ, fd]]);
  assert.equal([event?.error, event?.bytes, event?.flags], [0, 0, HANGUP]);
});

test("A connection that the guest has closed is none any more", () => {
  using host = new Host();
  const [fd] = host.connect();
  assert.is(host.guest.call("fd_close", fd), 0);
  assert.is(receive(host.guest, fd)[0], 8);
  assert.is(host.guest.call("sock_accept", fd, 0, host.guest.alloc(4)), 8);
});

test.run();
