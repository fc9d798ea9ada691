import { createServer, type Server } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../../src/native.ts";
import { type AddressFamily, type Endpoint, parseAddress } from "../../../wasm-host/network/address.ts";
import { NetworkRules } from "../../../wasm-host/network/network-rules.ts";
import { TcpSocket } from "../../../wasm-host/network/tcp-socket.ts";
import { UdpSocket } from "../../../wasm-host/network/udp-socket.ts";
import type { Result } from "../../../wasm-host/wasi/p2/result.ts";

const test = suite("sockets under the rules of a grant");
const everything = new NetworkRules({ outbound: ["*"], inbound: ["*:0-65535"] });
const READABLE = 1;
const WRITABLE = 2;

function at(text: string, port: number): Endpoint {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return { address, port };
}

const loopback: Readonly<Record<AddressFamily, string>> = { ipv4: "127.0.0.1", ipv6: "::1" };

function must<T>(result: Result<T, string>): T {
  if (result.tag === "err") throw new Error(`refused: ${result.val}`);
  return result.val;
}

function errorOf(result: Result<unknown, string>): string {
  return result.tag === "err" ? result.val : "ok";
}

function wait(fd: number, events: number): void {
  if (native.pollAll(Int32Array.of(fd, events), 1, 5_000_000_000) === 0)
    throw new Error("nothing after five seconds");
}

function listener(family: AddressFamily, rules = everything): TcpSocket {
  const socket = must(TcpSocket.open(rules, family));
  must(socket.bind(at(loopback[family], 0)));
  must(socket.listen());
  return socket;
}

function connectTo(remote: Endpoint, family: AddressFamily, rules = everything): TcpSocket {
  const socket = must(TcpSocket.open(rules, family));
  must(socket.connect(remote));
  wait(socket.fd, WRITABLE);
  must(socket.finishConnect());
  return socket;
}

for (const family of ["ipv4", "ipv6"] as const) {
  test(`Two sockets of a guest talk to each other, ${family}`, () => {
    const server = listener(family);
    assert.is(errorOf(server.accept()), "would-block");
    const client = connectTo(must(server.localAddress()), family);
    wait(server.fd, READABLE);
    const accepted = must(server.accept());
    assert.equal(must(accepted.remoteAddress()), must(client.localAddress()));
    assert.is(client.send(Buffer.from("hello")), 5);
    wait(accepted.fd, READABLE);
    const buffer = new Uint8Array(16);
    assert.is(accepted.receive(buffer, 16), 5);
    assert.is(Buffer.from(buffer.subarray(0, 5)).toString(), "hello");
    must(client.shutdown("send"));
    wait(accepted.fd, READABLE);
    assert.is(accepted.receive(buffer, 16), 0);
    for (const socket of [server, client, accepted]) socket.release();
  });
}

test("Without a grant there is no socket", () => {
  assert.is(errorOf(TcpSocket.open(undefined, "ipv4")), "access-denied");
  assert.is(errorOf(UdpSocket.open(undefined, "ipv6")), "access-denied");
});

test("A socket without a network keeps options as the kernel would, and every address is denied to it", () => {
  for (const family of ["ipv4", "ipv6"] as const) {
    const kernel = must(TcpSocket.open(everything, family));
    const tcp = TcpSocket.withoutNetwork(family);
    assert.is(tcp.fd, -1);
    for (const { options } of [kernel, tcp]) {
      must(options.setReceiveBufferSize(1n));
      must(options.setSendBufferSize(65_536n));
      must(options.setKeepAliveCount(4_000_000_000));
      must(options.setHopLimit(7));
    }
    assert.is(must(tcp.options.keepAliveEnabled()), must(kernel.options.keepAliveEnabled()));
    assert.is(must(tcp.options.keepAliveCount()), must(kernel.options.keepAliveCount()));
    assert.is(must(tcp.options.sendBufferSize()), must(kernel.options.sendBufferSize()));
    assert.is(must(tcp.options.hopLimit()), must(kernel.options.hopLimit()));
    assert.ok(must(tcp.options.receiveBufferSize()) > 0n);
    const here = at(loopback[family], 0);
    assert.is(errorOf(tcp.bind(here)), "access-denied");
    assert.is(errorOf(tcp.connect(at(loopback[family], 80))), "access-denied");
    assert.is(errorOf(tcp.listen()), "access-denied");
    assert.is(errorOf(tcp.localAddress()), "invalid-state");
    const udp = UdpSocket.withoutNetwork(family);
    assert.is(errorOf(udp.bind(here)), "access-denied");
    assert.is(errorOf(udp.connect(at(loopback[family], 53))), "access-denied");
    assert.is(errorOf(udp.send(Buffer.from("x"), at(loopback[family], 53))), "access-denied");
    assert.is(errorOf(udp.receive()), "invalid-state");
    for (const socket of [kernel, tcp, udp]) socket.release();
  }
});

test("Nobody is connected to whom the rules leave out, and the kernel is not even asked", async () => {
  let connections = 0;
  const server: Server = createServer(() => connections++).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  const rules = new NetworkRules({
    outbound: [`127.0.0.1:${port + 1 > 65_535 ? 1 : port + 1}`, "10.0.0.0/8", "localhost"],
    inbound: [],
  });
  const socket = must(TcpSocket.open(rules, "ipv4"));
  assert.is(errorOf(socket.connect(at("127.0.0.1", port))), "access-denied");
  assert.is(socket.state, "unbound");
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(connections, 0);
  rules.noteResolved("localhost", [at("127.0.0.1", 0).address]);
  must(socket.connect(at("127.0.0.1", port)));
  wait(socket.fd, WRITABLE);
  must(socket.finishConnect());
  await new Promise((resolve) => server.once("connection", resolve));
  assert.is(connections, 1);
  socket.release();
  server.close();
});

test("Nobody listens whom no inbound rule lets", () => {
  const clientOnly = new NetworkRules({ outbound: ["127.0.0.1"], inbound: ["127.0.0.1:8080"] });
  const socket = must(TcpSocket.open(clientOnly, "ipv4"));
  assert.is(errorOf(socket.listen()), "access-denied");
  assert.is(errorOf(socket.bind(at("127.0.0.1", 8081))), "access-denied");
  assert.is(errorOf(socket.bind(at("0.0.0.0", 8080))), "access-denied");
  assert.is(errorOf(socket.bind(at("127.0.0.1", 0))), "ok", "a client picks its own address");
  assert.is(errorOf(socket.listen()), "access-denied");
  socket.release();
});

test("A failed connection closes its socket and says why", () => {
  const server = listener("ipv4");
  const remote = must(server.localAddress());
  server.release();
  const socket = must(TcpSocket.open(everything, "ipv4"));
  must(socket.connect(remote));
  wait(socket.fd, WRITABLE);
  assert.is(errorOf(socket.finishConnect()), "connection-refused");
  assert.is(socket.state, "closed");
  assert.is(errorOf(socket.connect(remote)), "invalid-state");
  assert.is(errorOf(socket.localAddress()), "invalid-state");
  socket.release();
});

test("A descriptor is closed when its last holder lets go of it", () => {
  const server = listener("ipv4");
  server.hold();
  server.release();
  assert.is(errorOf(server.localAddress()), "ok");
  const { fd } = server;
  server.release();
  assert.ok(native.socketAddress(fd, new Uint8Array(28)) < 0);
});

function datagramSocket(rules = everything): UdpSocket {
  const socket = must(UdpSocket.open(rules, "ipv4"));
  must(socket.bind(at("127.0.0.1", 0)));
  return socket;
}

test("A datagram socket without an inbound rule hears those whom it may send to, and nobody else", () => {
  const friend = datagramSocket();
  const stranger = datagramSocket();
  const friendPort = must(friend.localAddress()).port;
  const guest = datagramSocket(new NetworkRules({ outbound: [`127.0.0.1:${friendPort}`], inbound: [] }));
  const here = must(guest.localAddress());
  must(stranger.send(Buffer.from("psst"), here));
  must(friend.send(Buffer.from("hello"), here));
  wait(guest.fd, READABLE);
  const { data, from } = must(guest.receive());
  assert.is(Buffer.from(data).toString(), "hello");
  assert.is(from.port, friendPort);
  assert.is(errorOf(guest.receive()), "would-block");
  assert.is(errorOf(guest.send(Buffer.from("x"), must(stranger.localAddress()))), "access-denied");
  assert.is(errorOf(guest.connect(must(stranger.localAddress()))), "access-denied");
  for (const socket of [friend, stranger, guest]) socket.release();
});

test("A datagram socket that is connected hears its peer only", () => {
  const [first, second, guest] = [datagramSocket(), datagramSocket(), datagramSocket()];
  const here = must(guest.localAddress());
  must(first.send(Buffer.from("1"), here));
  must(second.send(Buffer.from("2"), here));
  must(guest.connect(must(second.localAddress())));
  assert.is(Buffer.from(must(guest.receive()).data).toString(), "2");
  assert.is(errorOf(guest.send(Buffer.from("x"), must(first.localAddress()))), "invalid-argument");
  must(guest.disconnect());
  assert.is(errorOf(guest.remoteAddress()), "invalid-state");
  for (const socket of [first, second, guest]) socket.release();
});

test("The event loop tells everybody who waits for one descriptor, once", async () => {
  const server = listener("ipv4");
  const client = connectTo(must(server.localAddress()), "ipv4");
  wait(server.fd, READABLE);
  const accepted = must(server.accept());
  const calls: string[] = [];
  native.whenReady(accepted.fd, READABLE, () => calls.push("first"));
  native.whenReady(accepted.fd, READABLE, () => calls.push("second"));
  const token = native.whenReady(accepted.fd, READABLE, () => calls.push("never"));
  native.stopWaiting(token);
  native.stopWaiting(token);
  await new Promise<void>((resolve) => native.whenReady(accepted.fd, WRITABLE, resolve));
  assert.equal(calls, []);
  const told = new Promise<void>((resolve) => native.whenReady(accepted.fd, READABLE | WRITABLE, resolve));
  client.send(Buffer.from("x"));
  await told;
  await new Promise<void>((resolve) => native.whenReady(accepted.fd, READABLE, resolve));
  assert.equal(calls, ["first", "second"]);
  for (const socket of [server, client, accepted]) socket.release();
});

test("A descriptor of a file cannot be waited for, and the error says so", () => {
  assert.throws(
    () => native.whenReady(9999, READABLE, () => undefined),
    /epoll_ctl fd 9999: Bad file descriptor/,
  );
});

test("pollAll says which of many are ready, and returns at its time", () => {
  const [reading, writing] = native.pipe();
  const list = Int32Array.of(reading, READABLE, writing, WRITABLE);
  assert.is(native.pollAll(list, 2, -1), 1);
  assert.equal([...list], [reading, 0, writing, WRITABLE]);
  assert.is(native.pollAll(Int32Array.of(reading, READABLE), 1, 1_000_000), 0);
  assert.throws(() => native.pollAll(new Int32Array(2), 2, 0), /EINVAL|Invalid argument/);
  native.close(writing);
  const hungUp = Int32Array.of(reading, READABLE);
  assert.is(native.pollAll(hungUp, 1, -1), 1);
  assert.is(hungUp[1], READABLE);
  native.close(reading);
});

test.run();
