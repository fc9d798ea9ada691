import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { NetworkGrant } from "../../wasm-host/grant.ts";
import type { AddressFamily } from "../../wasm-host/network/address.ts";
import { NetworkError } from "../../wasm-host/network/error-code.ts";
import type { WitAddress, WitSocketAddress } from "../../wasm-host/network/wit-address.ts";
import { chores, finishChores } from "../../wasm-host/wasi/p2/chores.ts";
import { Pollable } from "../../wasm-host/wasi/p2/poll.ts";
import type { Result } from "../../wasm-host/wasi/p2/result.ts";
import type { ResolveAddressStream } from "../../wasm-host/wasi/p2/sockets/ip-name-lookup.ts";
import { Network, networkErrorCode } from "../../wasm-host/wasi/p2/sockets/network.ts";
import { createSockets } from "../../wasm-host/wasi/p2/sockets/sockets.ts";
import type { TcpSocket } from "../../wasm-host/wasi/p2/sockets/tcp.ts";
import type { UdpSocket } from "../../wasm-host/wasi/p2/sockets/udp.ts";
import { type InputStream, IoError, type OutputStream } from "../../wasm-host/wasi/p2/streams.ts";
import { blocking, suspending, type Waiter } from "../../wasm-host/wasi/p2/waiting.ts";
import { DnsServer } from "./network/dns-server.ts";

const test = suite("wasi:sockets 0.2");
const network = new Network();
const everything: NetworkGrant = { outbound: ["*"], inbound: ["*:0-65535"] };
const waiters: Readonly<Record<string, Waiter>> = { blocking, suspending };
const families: readonly AddressFamily[] = ["ipv4", "ipv6"];
const SECOND = 1_000_000_000n;

type Outcome<T> = Result<T, unknown>;

function must<T>(result: Outcome<T>): T {
  if (result.tag === "err") throw new Error(`refused: ${JSON.stringify(result.val)}`);
  return result.val;
}

function errorOf(result: Outcome<unknown>): unknown {
  return result.tag === "err" ? result.val : "ok";
}

/** What a guest sees of the host, for one grant and one way of waiting. */
class Guest {
  readonly #imports: Record<string, unknown>;

  constructor(waiter: Waiter, grant: NetworkGrant | "no grant" = everything) {
    this.#imports = createSockets(grant === "no grant" ? undefined : grant, waiter);
  }

  #call<T>(interfaceName: string, name: string, ...args: readonly unknown[]): T {
    const functions = this.#imports[interfaceName] as Record<string, (...args: readonly unknown[]) => T>;
    const found = functions[name];
    if (found === undefined) throw new Error(`no ${name} in ${interfaceName}`);
    return found(...args);
  }

  tcp(family: AddressFamily): Outcome<TcpSocket> {
    return this.#call("wasi:sockets/tcp-create-socket", "createTcpSocket", family);
  }

  udp(family: AddressFamily): Outcome<UdpSocket> {
    return this.#call("wasi:sockets/udp-create-socket", "createUdpSocket", family);
  }

  resolve(name: string): Outcome<ResolveAddressStream> {
    return this.#call("wasi:sockets/ip-name-lookup", "resolveAddresses", network, name);
  }
}

function loopback(family: AddressFamily, port: number): WitSocketAddress {
  return family === "ipv4"
    ? { tag: "ipv4", val: { port, address: [127, 0, 0, 1] } }
    : { tag: "ipv6", val: { port, address: [0, 0, 0, 0, 0, 0, 0, 1], flowInfo: 0, scopeId: 0 } };
}

function v4(address: readonly number[], port: number): WitSocketAddress {
  return { tag: "ipv4", val: { address, port } };
}

function v6(address: readonly number[], port: number): WitSocketAddress {
  return { tag: "ipv6", val: { address, port, flowInfo: 0, scopeId: 0 } };
}

function bind(socket: TcpSocket | UdpSocket, address: WitSocketAddress): Outcome<undefined> {
  const started = socket.startBind(network, address);
  return started.tag === "err" ? started : socket.finishBind();
}

function listen(guest: Guest, family: AddressFamily): TcpSocket {
  const socket = must(guest.tcp(family));
  must(bind(socket, loopback(family, 0)));
  must(socket.startListen());
  must(socket.finishListen());
  return socket;
}

interface Connection {
  readonly socket: TcpSocket;
  readonly input: InputStream;
  readonly output: OutputStream;
}

async function connect(guest: Guest, address: WitSocketAddress): Promise<Connection> {
  const socket = must(guest.tcp(address.tag));
  must(socket.startConnect(network, address));
  await socket.subscribe().block();
  const [input, output] = must(socket.finishConnect());
  return { socket, input, output };
}

async function accept(listener: TcpSocket): Promise<Connection> {
  await listener.subscribe().block();
  const [socket, input, output] = must(listener.accept());
  return { socket, input, output };
}

async function pair(
  guest: Guest,
  family: AddressFamily,
): Promise<{ client: Connection; server: Connection; listener: TcpSocket }> {
  const listener = listen(guest, family);
  const client = await connect(guest, must(listener.localAddress()));
  return { client, server: await accept(listener), listener };
}

function drop(...resources: readonly { [Symbol.dispose](): void }[]): void {
  for (const resource of resources) resource[Symbol.dispose]();
}

function dropConnections(...connections: readonly Connection[]): void {
  for (const { socket, input, output } of connections) drop(input, output, socket);
}

function textOf(result: Outcome<Uint8Array>): string {
  return Buffer.from(must(result)).toString();
}

async function readToEnd(input: InputStream): Promise<number> {
  for (let total = 0; ; ) {
    const result = await input.blockingRead(1_000_000n);
    if (result.tag === "err") {
      assert.equal(result.val, { tag: "closed" });
      return total;
    }
    total += result.val.length;
  }
}

function unconnectedRefusals(socket: TcpSocket): unknown[] {
  return [
    socket.finishBind(),
    socket.finishConnect(),
    socket.finishListen(),
    socket.accept(),
    socket.shutdown("both"),
    socket.remoteAddress(),
  ].map(errorOf);
}

/** What works in every state. */
function setEverything(socket: TcpSocket): unknown[] {
  return [
    socket.keepAliveEnabled(),
    socket.setKeepAliveEnabled(false),
    socket.keepAliveIdleTime(),
    socket.setKeepAliveIdleTime(1n),
    socket.keepAliveInterval(),
    socket.setKeepAliveInterval(1n),
    socket.keepAliveCount(),
    socket.setKeepAliveCount(1),
    socket.hopLimit(),
    socket.setHopLimit(255),
    socket.receiveBufferSize(),
    socket.setReceiveBufferSize(16_000n),
    socket.sendBufferSize(),
    socket.setSendBufferSize(16_000n),
  ].map(errorOf);
}

const allFine = new Array<string>(14).fill("ok");

for (const family of families) {
  test(`A new TCP socket can be bound, connected and set, and nothing else, ${family}`, () => {
    const socket = must(new Guest(blocking).tcp(family));
    const busy = "not-in-progress";
    assert.equal(unconnectedRefusals(socket), [
      busy,
      busy,
      busy,
      "invalid-state",
      "invalid-state",
      "invalid-state",
    ]);
    assert.is(errorOf(socket.startListen()), "invalid-state");
    assert.is(errorOf(socket.localAddress()), "invalid-state");
    assert.is(socket.isListening(), false);
    assert.is(socket.addressFamily(), family);
    assert.ok(socket.subscribe().ready());
    assert.equal(setEverything(socket), allFine);
    drop(socket);
  });

  test(`A bound TCP socket stays bound, ${family}`, () => {
    const socket = must(new Guest(blocking).tcp(family));
    must(socket.startBind(network, loopback(family, 0)));
    assert.is(errorOf(socket.startConnect(network, loopback(family, 1))), "concurrency-conflict");
    assert.is(errorOf(socket.startListen()), "concurrency-conflict");
    must(socket.finishBind());
    const busy = "not-in-progress";
    assert.equal(unconnectedRefusals(socket), [
      busy,
      busy,
      busy,
      "invalid-state",
      "invalid-state",
      "invalid-state",
    ]);
    assert.is(errorOf(socket.startBind(network, loopback(family, 0))), "invalid-state");
    const { tag, val } = must(socket.localAddress());
    assert.is(tag, family);
    assert.not.equal(val.port, 0);
    assert.equal(setEverything(socket), allFine);
    drop(socket);
  });

  test(`A listening TCP socket listens, ${family}`, () => {
    const socket = listen(new Guest(blocking), family);
    assert.is(socket.isListening(), true);
    assert.is(errorOf(socket.accept()), "would-block");
    assert.is(errorOf(socket.startListen()), "invalid-state");
    assert.is(errorOf(socket.startBind(network, loopback(family, 0))), "invalid-state");
    assert.is(errorOf(socket.startConnect(network, loopback(family, 1))), "invalid-state");
    assert.is(errorOf(socket.shutdown("both")), "invalid-state");
    assert.is(errorOf(socket.setListenBacklogSize(5n)), "ok");
    assert.equal(setEverything(socket), allFine);
    drop(socket);
  });

  test(`A connected TCP socket cannot become anything else, ${family}`, async () => {
    const { client, server, listener } = await pair(new Guest(blocking), family);
    const { socket } = client;
    assert.is(errorOf(socket.startConnect(network, loopback(family, 1))), "invalid-state");
    assert.is(errorOf(socket.startListen()), "invalid-state");
    assert.is(errorOf(socket.startBind(network, loopback(family, 0))), "invalid-state");
    assert.is(errorOf(socket.finishConnect()), "not-in-progress");
    assert.is(errorOf(socket.setListenBacklogSize(5n)), "invalid-state");
    assert.equal(must(socket.remoteAddress()), must(listener.localAddress()));
    assert.equal(must(server.socket.remoteAddress()), must(socket.localAddress()));
    assert.equal(setEverything(socket), allFine);
    for (let again = 0; again < 2; again++) must(socket.shutdown("both"));
    drop(listener);
    dropConnections(client, server);
  });

  test(`Addresses that can be no remote end are invalid arguments, ${family}`, () => {
    const guest = new Guest(blocking);
    const other = family === "ipv4" ? "ipv6" : "ipv4";
    const wrong: WitSocketAddress[] = [
      loopback(family, 0),
      loopback(other, 80),
      family === "ipv4" ? v4([0, 0, 0, 0], 80) : v6([0, 0, 0, 0, 0, 0, 0, 0], 80),
      family === "ipv4" ? v4([224, 254, 0, 0], 80) : v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 80),
      family === "ipv4" ? v4([255, 255, 255, 255], 80) : v6([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], 80),
    ];
    for (const address of wrong) {
      const socket = must(guest.tcp(family));
      assert.is(errorOf(socket.startConnect(network, address)), "invalid-argument", JSON.stringify(address));
      drop(socket);
    }
  });

  test(`Addresses that can be no local end, and why, ${family}`, () => {
    const guest = new Guest(blocking);
    const socket = must(guest.tcp(family));
    const other = family === "ipv4" ? "ipv6" : "ipv4";
    assert.is(errorOf(bind(socket, loopback(other, 0))), "invalid-argument");
    const multicast = family === "ipv4" ? v4([224, 254, 0, 0], 0) : v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 0);
    assert.is(errorOf(bind(socket, multicast)), "invalid-argument");
    const mapped =
      family === "ipv4" ? v4([255, 255, 255, 255], 0) : v6([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], 0);
    assert.is(errorOf(bind(socket, mapped)), "invalid-argument");
    const foreign = family === "ipv4" ? v4([192, 0, 2, 0], 0) : v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 0);
    assert.is(errorOf(bind(socket, foreign)), "address-not-bindable");
    const listener = listen(guest, family);
    assert.is(errorOf(bind(socket, must(listener.localAddress()))), "address-in-use");
    must(bind(socket, loopback(family, 0)));
    drop(socket, listener);
  });

  test(`Options of 0 are refused, others are brought into bounds, ${family}`, () => {
    const socket = must(new Guest(blocking).tcp(family));
    const u64 = 2n ** 64n - 1n;
    const zeros = [
      socket.setListenBacklogSize(0n),
      socket.setKeepAliveIdleTime(0n),
      socket.setKeepAliveInterval(0n),
      socket.setKeepAliveCount(0),
      socket.setHopLimit(0),
      socket.setReceiveBufferSize(0n),
      socket.setSendBufferSize(0n),
    ];
    assert.equal([...new Set(zeros.map(errorOf))], ["invalid-argument"]);
    must(socket.setListenBacklogSize(u64));
    must(socket.setKeepAliveIdleTime(1n));
    assert.is(must(socket.keepAliveIdleTime()), SECOND, "not the kernel's own idea of 0");
    for (const set of [
      "setKeepAliveIdleTime",
      "setKeepAliveInterval",
      "setReceiveBufferSize",
      "setSendBufferSize",
    ] as const)
      must(socket[set](u64));
    must(socket.setKeepAliveCount(0xffff_ffff));
    drop(socket);
  });

  test(`Options read back, and go over to accepted sockets, ${family}`, async () => {
    const guest = new Guest(blocking);
    const socket = must(guest.tcp(family));
    must(socket.setKeepAliveEnabled(true));
    must(socket.setKeepAliveIdleTime(42n * SECOND));
    must(socket.setKeepAliveInterval(43n * SECOND));
    must(socket.setKeepAliveCount(44));
    must(socket.setHopLimit(45));
    must(socket.setReceiveBufferSize(0x10000n));
    must(socket.setSendBufferSize(0x10000n));
    must(bind(socket, loopback(family, 0)));
    must(socket.startListen());
    must(socket.finishListen());
    const client = await connect(guest, must(socket.localAddress()));
    const accepted = await accept(socket);
    for (const one of [socket, accepted.socket]) {
      assert.is(must(one.keepAliveEnabled()), true);
      assert.is(must(one.keepAliveIdleTime()), 42n * SECOND);
      assert.is(must(one.keepAliveInterval()), 43n * SECOND);
      assert.is(must(one.keepAliveCount()), 44);
      assert.is(must(one.hopLimit()), 45);
      assert.ok(must(one.receiveBufferSize()) >= 0x10000n);
      assert.ok(must(one.sendBufferSize()) >= 0x10000n);
    }
    drop(socket);
    dropConnections(client, accepted);
  });
}

for (const [name, waiter] of Object.entries(waiters)) {
  test(`Bytes go both ways, then the ends, ${name}`, async () => {
    const { client, server, listener } = await pair(new Guest(waiter), "ipv4");
    assert.equal(must(client.input.read(10n)), new Uint8Array(0));
    must(await server.output.blockingWriteAndFlush(Buffer.from("to the client")));
    assert.is(textOf(await client.input.blockingRead(100n)), "to the client");
    must(await client.output.blockingWriteAndFlush(Buffer.from("to the server")));
    assert.is(textOf(await server.input.blockingRead(6n)), "to the");
    assert.is(textOf(await server.input.blockingRead(100n)), " server");
    must(server.socket.shutdown("send"));
    assert.equal(errorOf(await client.input.blockingRead(1n)), { tag: "closed" });
    assert.equal(errorOf(client.input.read(0n)), { tag: "closed" });
    assert.equal(errorOf(server.output.checkWrite()), { tag: "closed" });
    assert.equal(errorOf(server.output.write(Buffer.from("x"))), { tag: "closed" });
    assert.equal(errorOf(server.output.flush()), { tag: "closed" });
    must(await client.output.blockingWriteAndFlush(Buffer.from("still")));
    assert.is(textOf(await server.input.blockingRead(100n)), "still");
    drop(listener);
    dropConnections(client, server);
  });

  test(`What has arrived is gone after a shutdown of receiving, ${name}`, async () => {
    const { client, server, listener } = await pair(new Guest(waiter), "ipv4");
    must(await server.output.blockingWriteAndFlush(Buffer.from("unread")));
    await client.input.subscribe().block();
    must(client.socket.shutdown("receive"));
    assert.equal(errorOf(client.input.read(10n)), { tag: "closed" });
    assert.ok(client.input.subscribe().ready());
    drop(listener);
    dropConnections(client, server);
  });

  test(`A slow reader holds the writer back, and what was accepted is not lost by a shutdown, ${name}`, async () => {
    const { client, server, listener } = await pair(new Guest(waiter), "ipv4");
    must(client.socket.setSendBufferSize(1024n));
    must(server.socket.setReceiveBufferSize(32_768n));
    let written = 0;
    for (;;) {
      const permitted = Number(must(client.output.checkWrite()));
      if (permitted === 0) break;
      must(client.output.write(new Uint8Array(permitted)));
      written += permitted;
    }
    const room = client.output.subscribe();
    assert.is(room.ready(), false);
    assert.throws(() => client.output.write(new Uint8Array(1)), /where check-write allowed 0/);
    must(client.socket.shutdown("send"));
    dropConnections(client);
    assert.is(await readToEnd(server.input), written, "sent while this guest waits for something else");
    drop(listener);
    dropConnections(server);
  });

  test(`What a guest has written leaves after its end, ${name}`, async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const client = await connect(new Guest(waiter), loopback("ipv4", port));
    const [connection] = (await once(server, "connection")) as [Socket];
    must(client.socket.setSendBufferSize(1024n));
    let written = 0;
    // Until all buffers on the way are full.
    while (chores.size === 0) {
      const permitted = Number(must(client.output.checkWrite()));
      must(client.output.write(new Uint8Array(permitted)));
      written += permitted;
      finishChores(5);
    }
    dropConnections(client);
    let read = 0;
    connection.on("data", (bytes) => {
      read += bytes.length;
    });
    const ended = once(connection, "end");
    for (let turns = 0; turns < 10_000 && chores.size > 0; turns++) {
      finishChores(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await ended;
    assert.is(read, written);
    connection.destroy();
    server.close();
  });

  test(`A writer goes on when the reader does, ${name}`, async () => {
    const { client, server, listener } = await pair(new Guest(waiter), "ipv4");
    must(client.socket.setSendBufferSize(1024n));
    must(server.socket.setReceiveBufferSize(32_768n));
    let written = 0;
    for (let permitted = 1; permitted > 0; written += permitted) {
      permitted = Number(must(client.output.checkWrite()));
      must(client.output.write(new Uint8Array(permitted)));
    }
    let read = 0;
    const room = client.output.subscribe();
    while (!room.ready()) read += must(await server.input.blockingRead(4096n)).length;
    assert.ok(Number(must(client.output.checkWrite())) > 0);
    must(await client.output.blockingFlush());
    client.output[Symbol.dispose]();
    assert.is(read + (await readToEnd(server.input)), written);
    drop(listener, client.input, client.socket);
    dropConnections(server);
  });

  test(`A connection that is reset says so once, then is closed, ${name}`, async () => {
    const server = createServer((connection) => connection.resetAndDestroy()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const client = await connect(new Guest(waiter), loopback("ipv4", port));
    await once(server, "connection");
    await client.input.subscribe().block();
    const result = client.input.read(10n);
    if (result.tag === "err" && result.val.tag === "last-operation-failed")
      assert.is(networkErrorCode(result.val.val), "connection-reset");
    else assert.unreachable("a reset is an error");
    assert.equal(errorOf(client.input.read(10n)), { tag: "closed" });
    assert.equal(
      errorOf(client.output.write(Buffer.from("x"))),
      { tag: "closed" },
      "there is nobody to write to",
    );
    assert.equal(errorOf(client.output.checkWrite()), { tag: "closed" });
    dropConnections(client);
    server.close();
  });

  test(`A refused connection is an error of finish-connect, and closes the socket, ${name}`, async () => {
    const guest = new Guest(waiter);
    const listener = listen(guest, "ipv4");
    const address = must(listener.localAddress());
    drop(listener);
    const socket = must(guest.tcp("ipv4"));
    must(socket.startConnect(network, address));
    assert.is(errorOf(socket.startConnect(network, address)), "concurrency-conflict");
    await socket.subscribe().block();
    assert.is(errorOf(socket.finishConnect()), "connection-refused");
    assert.is(errorOf(socket.finishConnect()), "not-in-progress");
    assert.is(errorOf(socket.startConnect(network, address)), "invalid-state");
    assert.ok(socket.subscribe().ready());
    drop(socket);
  });

  test(`Many sockets and a clock are waited for at once, ${name}`, async () => {
    const guest = new Guest(waiter);
    const pairs = await Promise.all([1, 2, 3].map(() => pair(guest, "ipv4")));
    const pollables = pairs.map(({ server }) => server.input.subscribe());
    const soon = new Pollable(
      { ready: () => process.hrtime.bigint() >= deadline, deadline: process.hrtime.bigint() + 20_000_000n },
      waiter,
    );
    const deadline = process.hrtime.bigint() + 20_000_000n;
    assert.equal([...(await Pollable.poll([...pollables, soon]))], [3]);
    for (const index of [2, 0])
      must(
        (await pairs[index]?.client.output.blockingWriteAndFlush(Buffer.from("x"))) ?? {
          tag: "err",
          val: "none",
        },
      );
    const never = new Pollable(
      { ready: () => false, deadline: process.hrtime.bigint() + 60_000_000_000n },
      waiter,
    );
    assert.equal([...(await Pollable.poll([...pollables, never]))], [0, 2]);
    for (const { client, server, listener } of pairs) {
      drop(listener);
      dropConnections(client, server);
    }
  });

  test(`Datagrams go to and fro, to one peer or to any, ${name}`, async () => {
    const guest = new Guest(waiter);
    const [here, there] = [must(guest.udp("ipv4")), must(guest.udp("ipv4"))];
    for (const socket of [here, there]) must(bind(socket, loopback("ipv4", 0)));
    const [incoming, outgoing] = must(there.stream(must(here.localAddress())));
    const [hereIncoming, hereOutgoing] = must(here.stream(undefined));
    assert.equal(must(hereIncoming.receive(5n)), []);
    assert.ok(must(outgoing.checkSend()) >= 2n);
    assert.is(must(outgoing.send([{ data: Buffer.from("1") }, { data: Buffer.from("2") }])), 2n);
    await hereIncoming.subscribe().block();
    const received = must(hereIncoming.receive(5n));
    assert.equal(
      received.map(({ data }) => Buffer.from(data).toString()),
      ["1", "2"],
    );
    assert.equal(received[0]?.remoteAddress, must(there.localAddress()));
    must(hereOutgoing.checkSend());
    must(hereOutgoing.send([{ data: Buffer.from("back"), remoteAddress: must(there.localAddress()) }]));
    await incoming.subscribe().block();
    assert.is(must(incoming.receive(1n)).length, 1);
    must(hereOutgoing.checkSend());
    assert.is(errorOf(hereOutgoing.send([{ data: Buffer.from("to whom?") }])), "invalid-argument");
    drop(incoming, outgoing, hereIncoming, hereOutgoing, here, there);
  });
}

test("More datagrams than permitted trap", () => {
  const socket = must(new Guest(blocking).udp("ipv4"));
  must(bind(socket, loopback("ipv4", 0)));
  const [incoming, outgoing] = must(socket.stream(loopback("ipv4", 4320)));
  const one = { data: Buffer.from("x") };
  assert.throws(() => outgoing.send([one]), /where check-send permitted 0/);
  const permitted = Number(must(outgoing.checkSend()));
  assert.throws(() => outgoing.send(new Array(permitted + 1).fill(one)), /where check-send permitted/);
  drop(incoming, outgoing, socket);
});

test("A datagram socket has to be bound first, and its streams end with the next ones", () => {
  const socket = must(new Guest(blocking).udp("ipv4"));
  assert.is(errorOf(socket.finishBind()), "not-in-progress");
  assert.is(errorOf(socket.stream(undefined)), "invalid-state");
  assert.is(errorOf(socket.localAddress()), "invalid-state");
  must(bind(socket, loopback("ipv4", 0)));
  assert.is(errorOf(bind(socket, loopback("ipv4", 0))), "invalid-state");
  const [firstIn, firstOut] = must(socket.stream(loopback("ipv4", 4321)));
  assert.equal(must(socket.remoteAddress()), loopback("ipv4", 4321));
  const [secondIn, secondOut] = must(socket.stream(undefined));
  assert.is(errorOf(socket.remoteAddress()), "invalid-state");
  assert.is(errorOf(firstIn.receive(1n)), "invalid-state");
  assert.is(errorOf(firstOut.checkSend()), "invalid-state");
  assert.ok(firstIn.subscribe().ready());
  assert.equal(must(secondIn.receive(1n)), []);
  assert.is(errorOf(socket.stream(v4([0, 0, 0, 0], 5))), "invalid-argument");
  assert.is(errorOf(socket.stream(loopback("ipv4", 0))), "invalid-argument");
  assert.is(errorOf(socket.stream(loopback("ipv6", 5))), "invalid-argument");
  drop(firstIn, firstOut, secondIn, secondOut, socket);
});

test("Who hears nobody any more learns of it by receiving", async () => {
  const guest = new Guest(blocking);
  const [gone, socket] = [must(guest.udp("ipv4")), must(guest.udp("ipv4"))];
  for (const one of [gone, socket]) must(bind(one, loopback("ipv4", 0)));
  const address = must(gone.localAddress());
  drop(gone);
  const [incoming, outgoing] = must(socket.stream(address));
  must(outgoing.checkSend());
  must(outgoing.send([{ data: Buffer.from("hello?") }]));
  await incoming.subscribe().block();
  assert.is(errorOf(incoming.receive(1n)), "connection-refused");
  drop(incoming, outgoing, socket);
});

test("Without a grant, or without the protocol in it, everything is denied", () => {
  const guest = new Guest(blocking, { ...everything, protocols: ["http"] });
  assert.is(errorOf(guest.tcp("ipv4")), "access-denied");
  assert.is(errorOf(guest.udp("ipv6")), "access-denied");
  assert.is(errorOf(guest.resolve("localhost")), "access-denied");
  const bare = new Guest(blocking, "no grant");
  assert.is(errorOf(bare.resolve("localhost")), "access-denied");
  for (const port of [0, 8080]) {
    const [stream, datagrams] = [must(bare.tcp("ipv4")), must(bare.udp("ipv6"))];
    must(stream.setKeepAliveEnabled(true));
    assert.is(errorOf(bind(stream, loopback("ipv4", port))), "access-denied");
    assert.is(errorOf(stream.startListen()), "invalid-state");
    assert.is(errorOf(stream.startConnect(network, loopback("ipv4", 443))), "access-denied");
    assert.is(errorOf(datagrams.startBind(network, loopback("ipv6", port))), "access-denied");
    drop(stream, datagrams);
  }
  const tcpOnly = new Guest(blocking, { ...everything, protocols: ["tcp"] });
  const socket = must(tcpOnly.tcp("ipv4"));
  assert.is(errorOf(tcpOnly.udp("ipv4")), "access-denied");
  drop(socket);
});

test("The rules of the grant hold for sockets", () => {
  const guest = new Guest(blocking, { outbound: ["10.0.0.0/8:443"], inbound: ["127.0.0.1:9"] });
  const socket = must(guest.tcp("ipv4"));
  assert.is(errorOf(socket.startConnect(network, v4([127, 0, 0, 1], 443))), "access-denied");
  assert.is(errorOf(socket.startConnect(network, v4([10, 0, 0, 1], 80))), "access-denied");
  assert.is(errorOf(bind(socket, loopback("ipv4", 8080))), "access-denied");
  drop(socket);
  const datagrams = must(guest.udp("ipv4"));
  must(bind(datagrams, loopback("ipv4", 0)));
  assert.is(errorOf(datagrams.stream(loopback("ipv4", 443))), "access-denied");
  const [incoming, outgoing] = must(datagrams.stream(undefined));
  must(outgoing.checkSend());
  assert.is(
    errorOf(outgoing.send([{ data: Buffer.from("x"), remoteAddress: loopback("ipv4", 443) }])),
    "access-denied",
  );
  drop(incoming, outgoing, datagrams);
});

test("A rule that is wrong is found before the guest runs", () => {
  assert.throws(
    () => createSockets({ outbound: ["host:99999"], inbound: [] }, blocking),
    /outbound rule host:99999/,
  );
});

async function addressesOf(guest: Guest, name: string): Promise<readonly WitAddress[]> {
  const stream = must(guest.resolve(name));
  const found: WitAddress[] = [];
  for (;;) {
    const next = stream.resolveNextAddress();
    if (next.tag === "err" && next.val === "would-block") {
      await stream.subscribe().block();
      continue;
    }
    const address = must(next);
    if (address === undefined) break;
    found.push(address);
  }
  drop(stream);
  return found;
}

test("Names are looked up while the guest is suspended, and then may be connected to", async () => {
  const server = new DnsServer(({ name, type }) => ({
    records: type === 1 ? [[name, 1, Uint8Array.of(10, 0, 0, 9)]] : [],
  }));
  await server.listen("127.53.2.1");
  try {
    const grant: NetworkGrant = {
      outbound: ["db.test:5432"],
      inbound: [],
      resolver: { resolvConf: "nameserver 127.53.2.1", hosts: "" },
    };
    const guest = new Guest(suspending, grant);
    assert.equal(await addressesOf(guest, "db.test"), [{ tag: "ipv4", val: [10, 0, 0, 9] }]);
    assert.is(errorOf(guest.resolve("other.test")), "access-denied");
    assert.is(errorOf(guest.resolve("no name")), "invalid-argument");
    const waiting = must(guest.resolve("db.test"));
    drop(waiting);
    assert.ok(waiting.subscribe().ready(), "a look-up that is dropped is over");
  } finally {
    server.close();
  }
});

test("Addresses are looked up at once, and localhost is known", async () => {
  const guest = new Guest(blocking);
  assert.equal(await addressesOf(guest, "::ffff:1.2.3.4"), [{ tag: "ipv4", val: [1, 2, 3, 4] }]);
  assert.equal(await addressesOf(guest, "[::1]"), [{ tag: "ipv6", val: [0, 0, 0, 0, 0, 0, 0, 1] }]);
  const local = await addressesOf(guest, "localhost");
  assert.equal(local.map(({ tag }) => tag).sort(), ["ipv4", "ipv6"]);
});

test("Of a stream's error only the network's has a code of the network", () => {
  assert.is(networkErrorCode(new IoError(new NetworkError("timeout"))), "timeout");
  assert.is(networkErrorCode(new IoError(new NetworkError("connection-broken"))), "unknown");
  assert.is(networkErrorCode(new IoError(new Error("disk"))), undefined);
});

test.run();
