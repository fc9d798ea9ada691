/** A guest of `tandem run` that has broken out of V8, and the network that it was given. */
import { spawn } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/native.ts";
import { sockaddrFrom } from "../../wasm-host/network/sockaddr.ts";
import { type Runner, tandem } from "./run-guest.ts";
import { Runners } from "./runners.ts";
import { type Call, descriptorsOf, Tracer } from "./system-calls-in.ts";

const security = suite("a hostile guest's network");
let runners: Runners;
let tracer: Tracer;
/** Somebody's server on this machine, whom no rule names. */
let server: number;
let port: number;

security.before(async () => {
  runners = await Runners.create();
  tracer = new Tracer();
  server = native.socketOpen(4, 1);
  native.socketBind(server, sockaddrFrom({ address: Uint8Array.of(127, 0, 0, 1), port: 0 }));
  native.socketListen(server, 8);
  const own = new Uint8Array(28);
  native.socketAddress(server, own);
  port = ((own[2] ?? 0) << 8) | (own[3] ?? 0);
});
security.after(async () => {
  native.close(server);
  tracer.remove();
  await runners[Symbol.asyncDispose]();
});

function both(name: string, body: (runner: Runner) => Promise<void>): void {
  security(name, async () => {
    for (const runner of runners.all) await body(runner);
  });
}

const hex = (bytes: Iterable<number>): string => Buffer.from([...bytes]).toString("hex");
const ipv4 = (address: readonly number[], to: number): string =>
  `%0200${hex([to >> 8, to & 255, ...address])}${"00".repeat(8)}`;
/** ::ffff:127.0.0.1 */
const mapped = (to: number): string =>
  `%0a00${hex([to >> 8, to & 255])}00000000${"00".repeat(10)}ffff7f00000100000000`;
const unix = (name: string): string => `%010000${hex(Buffer.from(name))}`;
const loopback = [127, 0, 0, 1];
const [AF_INET, AF_INET6, STREAM, DATAGRAM] = [2, 10, 1, 2];
const MSG_FASTOPEN = 0x20000000;

function resultsOf(pid: number, calls: readonly (readonly [Call, string])[]): void {
  const results = tracer.callsIn(pid, ...calls.map(([call]) => call));
  for (const [index, [call, expected]] of calls.entries())
    assert.ok(
      expected === "a descriptor" ? /^\d+$/.test(results[index] ?? "") : results[index] === expected,
      `${call.join(" ")}: ${results[index]} instead of ${expected}`,
    );
}

const tcp: readonly [Call, string] = [["socket", AF_INET, STREAM, 0], "a descriptor"];

both(
  "without a rule for it, it lets nobody in: not on a port that the kernel picks either",
  async (runner) => {
    await runners.withGuest(runner, ["--allow", "127.0.0.1:1"], (pid) =>
      resultsOf(pid, [
        tcp,
        [["listen", "$1", 5], "EPERM"],
        [["bind", "$1", ipv4([0, 0, 0, 0], 0), 16], "0"],
        [["listen", "$1", 5], "EPERM"],
        [["accept4", "$1", 0, 0, 0], "EPERM"],
        [["accept", "$1", 0, 0], "EPERM"],
      ]),
    );
  },
);

both("connects neither by sending nor by another family's address to who is in no rule", async (runner) => {
  await runners.withGuest(runner, ["--allow", "127.0.0.1:1"], (pid) => {
    resultsOf(pid, [
      tcp,
      [["sendto", "$1", "@x", 1, MSG_FASTOPEN, ipv4(loopback, port), 16], "EPERM"],
      [["sendmsg", "$1", "*56", MSG_FASTOPEN], "EPERM"],
      [["sendmmsg", "$1", "*64", 1, MSG_FASTOPEN], "EPERM"],
      // TCP_FASTOPEN_CONNECT, TCP_REPAIR
      [["setsockopt", "$1", 6, 30, "%01000000", 4], "EPERM"],
      [["setsockopt", "$1", 6, 19, "%01000000", 4], "EPERM"],
    ]);
    const [, connected, , overIpv6, disconnected, again] = tracer.callsIn(
      pid,
      ["socket", AF_INET, STREAM, 0],
      ["connect", "$1", ipv4(loopback, port), 16],
      ["socket", AF_INET6, STREAM, 0],
      ["connect", "$3", mapped(port), 28],
      ["connect", "$1", "*16", 16],
      ["connect", "$1", ipv4(loopback, port), 16],
    );
    // Where the kernel has no Landlock that knows ports, this is the WASI host's to say.
    if (connected === "0") return;
    assert.equal([connected, overIpv6, again], ["EACCES", "EACCES", "EACCES"], disconnected);
  });
});

both("has no datagrams where they were not granted", async (runner) => {
  const options = ["--allow", "127.0.0.1:1", "-S", "udp=n"];
  await runners.withGuest(runner, options, (pid) =>
    resultsOf(pid, [
      tcp,
      [["socket", AF_INET, DATAGRAM, 0], "EPERM"],
      [["socket", AF_INET6, DATAGRAM, 0], "EPERM"],
      [["socket", AF_INET, STREAM, 262], "EPERM"],
    ]),
  );
});

both("cannot have the kernel filter, bind to devices, or pass on and take descriptors", async (runner) => {
  await runners.withGuest(runner, ["-S", "inherit-network"], (pid) => {
    const [SO_ATTACH_FILTER, SO_BINDTODEVICE, SO_ATTACH_BPF, SO_MARK] = [26, 25, 50, 36];
    const options = [SO_ATTACH_FILTER, SO_BINDTODEVICE, SO_ATTACH_BPF, SO_MARK];
    resultsOf(pid, [
      tcp,
      ...options.map((name) => [["setsockopt", "$1", 1, name, "*16", 16], "EPERM"] as const),
      [["setsockopt", "$1", 0, 4, "*4", 4], "EPERM"], // IP_OPTIONS
      [["setsockopt", "$1", 0, 35, "*8", 8], "EPERM"], // IP_ADD_MEMBERSHIP
      [["setsockopt", "$1", 0, 64, "*16", 16], "EPERM"], // IPT_SO_SET_REPLACE
      ...[1, 16, 17, 38, 40, 44].map((family) => [["socket", family, DATAGRAM, 0], "EPERM"] as const),
      [["socket", AF_INET, 3, 1], "EPERM"],
      [["socketpair", 1, 1, 0, "*8"], "EPERM"],
    ]);
  });
});

both("reaches nobody by a stream that is a connection to its caller", async (runner) => {
  // Node gives a child sockets for pipes.
  await runners.withGuest(runner, ["-S", "inherit-network"], (pid) => {
    assert.match(descriptorsOf(pid).get(1) ?? "", /^socket:/);
    const [connected, sent] = tracer.callsIn(
      pid,
      ["connect", 1, unix("/run/tandem"), 14],
      ["sendto", 1, "@x", 1, 0, unix("/run/tandem"), 14],
    );
    assert.ok(["ECONNREFUSED", "EISCONN"].includes(connected ?? ""), connected);
    assert.is(sent, "EISCONN");
  });
});

both("with a network gets no socket of datagrams as a stream", async (runner) => {
  const script = [
    "import os, socket, sys",
    "pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "os.dup2(pair[0].fileno(), 0)",
    "os.execvp(sys.argv[1], sys.argv[1:])",
  ].join("\n");
  const outcome = async (...options: string[]): Promise<[unknown, string]> => {
    const [program, ...rest] = runner.command([
      ...["python3", "-c", script, tandem, "run", ...options],
      ...[runners.guest, "exit", "0"],
    ]);
    const child = spawn(program, rest, { cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    return [await new Promise((resolve) => child.once("close", resolve)), said];
  };
  assert.equal(await outcome(), [0, ""]);
  assert.equal(await outcome("-S", "inherit-network", "-S", "inherit-stdin=n"), [0, ""]);
  const [status, said] = await outcome("-S", "inherit-network");
  assert.is(status, 126, said);
  assert.match(said, /^tandem run: stdin: is a socket without a connection/);
});

both("has no socket at all without a network, nor with a socket that it was given", async (runner) => {
  for (const options of [[], ["--listen", "127.0.0.1:0"]])
    await runners.withGuest(runner, options, (pid) =>
      resultsOf(pid, [
        [["socket", AF_INET, STREAM, 0], "EPERM"],
        [["socket", AF_INET, DATAGRAM, 0], "EPERM"],
        [["connect", 1, ipv4(loopback, port), 16], "EPERM"],
        [["bind", 1, ipv4(loopback, 0), 16], "EPERM"],
      ]),
    );
});

if (Tracer.isPossible) security.run();
