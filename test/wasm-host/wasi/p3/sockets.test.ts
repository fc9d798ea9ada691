import { suite } from "uvu";
import * as assert from "uvu/assert";
import { NetworkRules } from "../../../../wasm-host/network/network-rules.ts";
import { guestClock } from "../../../../wasm-host/wasi/p2/guest-clock.ts";
import type { Result } from "../../../../wasm-host/wasi/p2/result.ts";
import { createClocks } from "../../../../wasm-host/wasi/p3/clocks.ts";
import type { GuestStream } from "../../../../wasm-host/wasi/p3/guest-stream.ts";
import { beginCall, type HostCall } from "../../../../wasm-host/wasi/p3/host-call.ts";
import type { WitSocketAddress } from "../../../../wasm-host/wasi/p3/sockets/socket-address.ts";
import { createTcpSocketClass } from "../../../../wasm-host/wasi/p3/sockets/tcp-socket.ts";
import { createUdpSocketClass } from "../../../../wasm-host/wasi/p3/sockets/udp-socket.ts";

const test = suite("wasi:sockets 0.3");

const everything = new NetworkRules({ outbound: ["127.0.0.1"], inbound: ["127.0.0.1:0"] });
const TcpSocket = classOf(createTcpSocketClass(everything));
const UdpSocket = classOf(createUdpSocketClass(everything));

/** What the glue calls is `create`, which only the class for a grant has. */
function classOf<T>(made: T): T & { create(family: "ipv4" | "ipv6"): Result<InstanceOf<T>, unknown> } {
  return made as T & { create(family: "ipv4" | "ipv6"): Result<InstanceOf<T>, unknown> };
}
type InstanceOf<T> = T extends new (...args: never[]) => infer I ? I : never;

function must<T>(result: Result<T, unknown>): T {
  if (result.tag === "err") throw new Error(`refused: ${JSON.stringify(result.val)}`);
  return result.val;
}

function errorOf(result: Result<unknown, unknown>): string {
  return result.tag === "err" ? (result.val as { tag: string }).tag : "ok";
}

function loopback(port = 0): WitSocketAddress {
  return { tag: "ipv4", val: { port, address: [127, 0, 0, 1] } };
}

/** What a guest writes, as the glue hands it over. */
function written(...chunks: readonly string[]): GuestStream & { dropped: boolean } {
  const left = [...chunks];
  return {
    dropped: false,
    read: async () => {
      const chunk = left.shift();
      return chunk === undefined ? { done: true } : { value: Buffer.from(chunk), done: false };
    },
    [Symbol.dispose]() {
      this.dropped = true;
    },
  };
}

async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += Buffer.from(chunk).toString();
  return text;
}

/** Calls a function of the host as the glue does. */
function call<T>(operation: () => T): { readonly answer: T; cancel(): void } {
  const made: HostCall = { cancelled: false, onCancel: undefined };
  const answer = beginCall(made, operation);
  return {
    answer,
    cancel() {
      made.cancelled = true;
      if (made.onCancel === undefined) throw new Error("this call cannot be cancelled");
      made.onCancel();
    },
  };
}

function listening() {
  const listener = must(TcpSocket.create("ipv4"));
  must(listener.bind(loopback()));
  const connections = must(listener.listen())[Symbol.asyncIterator]();
  return { listener, connections, address: must(listener.getLocalAddress()) };
}

async function connected() {
  const server = listening();
  const client = must(TcpSocket.create("ipv4"));
  must(await client.connect(server.address));
  const { value: accepted } = await server.connections.next();
  if (accepted === undefined) throw new Error("no connection");
  return { ...server, client, accepted };
}

test("Both sides send and receive streams, and each learns of the other's end", async () => {
  const { listener, connections, client, accepted } = await connected();
  assert.instance(accepted, TcpSocket);
  assert.equal(must(accepted.getRemoteAddress()), must(client.getLocalAddress()));
  const [heard, end] = accepted.receive();
  assert.is(errorOf(await client.send(written("one ", "two"))), "ok");
  assert.is(await textOf(heard), "one two");
  assert.is(errorOf(await end), "ok");
  const [answer, answerEnd] = client.receive();
  assert.is(errorOf(await accepted.send(written("three"))), "ok");
  assert.is(await textOf(answer), "three");
  assert.is(errorOf(await answerEnd), "ok");
  await connections.return?.();
  for (const socket of [listener, client, accepted]) socket[Symbol.dispose]();
});

test("A connection is sent to once and received from once", async () => {
  const { listener, connections, client, accepted } = await connected();
  const [first] = client.receive();
  const [second, end] = client.receive();
  assert.is(await textOf(second), "");
  assert.is(errorOf(await end), "invalid-state");
  must(await client.send(written("x")));
  const again = written("y");
  assert.is(errorOf(await client.send(again)), "invalid-state");
  assert.ok(again.dropped);
  await first.return?.();
  await connections.return?.();
  for (const socket of [listener, client, accepted]) socket[Symbol.dispose]();
});

test("A stream goes on when its socket has been dropped", async () => {
  const { listener, connections, client, accepted } = await connected();
  const [heard, end] = accepted.receive();
  accepted[Symbol.dispose]();
  must(await client.send(written("late")));
  assert.is(await textOf(heard), "late");
  assert.is(errorOf(await end), "ok");
  await connections.return?.();
  for (const socket of [listener, client]) socket[Symbol.dispose]();
});

test("A guest that drops the stream of connections listens no more", async () => {
  const { listener, connections, address } = listening();
  const waiting = connections.next();
  await connections.return?.();
  assert.is((await waiting).done, true);
  listener[Symbol.dispose]();
  const client = must(TcpSocket.create("ipv4"));
  assert.is(errorOf(await client.connect(address)), "connection-refused");
  client[Symbol.dispose]();
});

test("A peer that resets the connection is an error of the stream's end", async () => {
  const { listener, connections, client, accepted } = await connected();
  const [heard, end] = client.receive();
  must(await client.send(written("never read")));
  accepted[Symbol.dispose]();
  assert.is(await textOf(heard), "");
  assert.is(errorOf(await end), "connection-reset");
  await connections.return?.();
  for (const socket of [listener, client]) socket[Symbol.dispose]();
});

test("A receive that was cancelled takes no datagram from the next", async () => {
  const receiver = must(UdpSocket.create("ipv4"));
  must(receiver.bind(loopback()));
  const address = must(receiver.getLocalAddress());
  const first = call(() => receiver.receive());
  first.cancel();
  assert.is(errorOf(await first.answer), "invalid-state");
  const sender = must(UdpSocket.create("ipv4"));
  must(await sender.send(Buffer.from("for the second"), address));
  const [data, from] = must(await call(() => receiver.receive()).answer);
  assert.is(Buffer.from(data).toString(), "for the second");
  assert.is(from.val.port, must(sender.getLocalAddress()).val.port);
  for (const socket of [receiver, sender]) socket[Symbol.dispose]();
});

test("A wait that was cancelled is over", async () => {
  const clock = createClocks(guestClock(undefined))["wasi:clocks/monotonic-clock@0.3"] as {
    waitFor(duration: bigint): Promise<void>;
  };
  const wait = call(() => clock.waitFor(3_600_000_000_000n));
  wait.cancel();
  assert.is(await wait.answer, undefined);
});

test("Without a network there are sockets, and no address for them", async () => {
  const Tcp = classOf(createTcpSocketClass(undefined));
  const Udp = classOf(createUdpSocketClass(undefined));
  const tcp = must(Tcp.create("ipv4"));
  assert.is(errorOf(tcp.setKeepAliveIdleTime(5_000_000_000n)), "ok");
  assert.is(must(tcp.getKeepAliveIdleTime()), 5_000_000_000n);
  assert.is(errorOf(tcp.bind(loopback())), "access-denied");
  assert.is(errorOf(tcp.listen()), "access-denied");
  assert.is(errorOf(await tcp.connect(loopback(80))), "access-denied");
  const udp = must(Udp.create("ipv4"));
  assert.is(errorOf(await udp.send(Buffer.from("x"), loopback(53))), "access-denied");
  assert.is(errorOf(udp.bind(loopback())), "access-denied");
  for (const socket of [tcp, udp]) socket[Symbol.dispose]();
});

test("Rules that leave TCP out leave out every TCP socket", () => {
  const rules = new NetworkRules({ outbound: ["*"], inbound: [], protocols: ["udp"] });
  assert.is(errorOf(classOf(createTcpSocketClass(rules)).create("ipv4")), "access-denied");
});

test.run();
