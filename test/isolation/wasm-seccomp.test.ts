import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { wasmFilters } from "../../src/isolation/wasm-seccomp.ts";
import type { SocketUse } from "../../src/isolation/wasm-sockets.ts";
import { native } from "../../src/native.ts";
import { sockaddrFrom } from "../../wasm-host/network/sockaddr.ts";

const wasm = suite("the seccomp filter of a wasm process");
const directory = mkdtempSync(join(tmpdir(), "tandem-wasm-filter-"));
const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
const probe = join(directory, "probe");
const preload = join(directory, "load-filter.so");
const filterFor = (use: SocketUse) => join(directory, use);
const withNetwork = filterFor("network");
const withoutNetwork = filterFor("none");

wasm.before(() => {
  execFileSync("cc", ["-O1", "-o", probe, fixture("seccomp-probe.c")]);
  execFileSync("cc", ["-O1", "-shared", "-fPIC", "-o", preload, fixture("load-filter.c")]);
  for (const [use, filter] of Object.entries(wasmFilters()))
    writeFileSync(filterFor(use as SocketUse), filter);
});

wasm.after(() => rmSync(directory, { recursive: true }));

/** What a system call gives under the filter: "ok", an errno's name or the signal that kills. */
function call(filter: string, name: string, ...args: readonly number[]): string {
  const number = native.largestSyscall([name], native.nativeSeccompArchitecture());
  if (number === undefined) return "no such call here";
  const { stdout, signal, status } = spawnSync(probe, [filter, "0", String(number), ...args.map(String)], {
    encoding: "utf8",
  });
  return signal ?? (status === 0 ? stdout : `status ${status} ${stdout}`);
}

/** Step ↦ result of fixtures/wasm-process-work.mjs in a Node under the filter. */
function work(filter: string): Record<string, string> {
  const { stdout, stderr, signal } = spawnSync(process.execPath, [fixture("wasm-process-work.mjs")], {
    encoding: "utf8",
    env: { LD_PRELOAD: preload, SECCOMP_FILTER: filter },
    timeout: 30_000,
  });
  assert.is(signal, null, stdout + stderr);
  return Object.fromEntries(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.split(": ") as [string, string]),
  );
}

wasm("lets Node do everything that a guest needs, with sockets when they are granted", () => {
  const { spawn, ...rest } = work(withNetwork);
  assert.equal(rest, {
    module: "84",
    garbage: "true",
    time: "4",
    files: "true 3",
    worker: "7",
    http: "hi",
    signal: "SIGUSR2",
  });
  assert.is(spawn, "EPERM");
});

wasm("has no sockets when none are granted, and Node reports it", () => {
  const { http } = work(withoutNetwork);
  assert.is(http, "EPERM");
  assert.is(call(withoutNetwork, "socket", 2, 1, 0), "EPERM");
});

wasm("has no other sockets than those of the internet", () => {
  assert.is(call(withNetwork, "socket", 2, 1, 0), "ok");
  for (const family of [1, 16, 17, 38, 40])
    assert.is(call(withNetwork, "socket", family, 3, 0), "EPERM", `family ${family}`);
});

const AF_INET = 2;
const [SOCK_STREAM, SOCK_DGRAM] = [1, 2];
const MSG_FASTOPEN = 0x20000000;
/** A call that the filter lets through fails for the descriptor -1. */
const PASSED = "EBADF";

wasm("has of sockets what its use takes, and no more", () => {
  const calls: readonly (readonly [name: string, args: readonly number[]])[] = [
    ["accept4", [-1, 0, 0, 0]],
    ["recvfrom", [-1, 0, 0, 0]],
    ["sendto", [-1, 0, 0, 0]],
    ["shutdown", [-1, 0]],
    ["listen", [-1, 1]],
    ["bind", [-1, 0, 0]],
    ["connect", [-1, 0, 0]],
  ];
  const allowed = (use: SocketUse): string[] =>
    calls.filter(([name, args]) => call(filterFor(use), name, ...args) === PASSED).map(([name]) => name);
  const connections = ["recvfrom", "sendto", "shutdown"];
  const given = ["accept4", ...connections, "listen"];
  assert.equal(allowed("none"), []);
  assert.equal(allowed("accept"), given);
  assert.equal(allowed("listen"), [...given, "bind"]);
  assert.equal(allowed("stream"), [...connections, "bind", "connect"]);
  assert.equal(allowed("connect"), [...connections, "bind", "connect"]);
  assert.equal(allowed("network"), [...given, "bind", "connect"]);
  const socket = (use: SocketUse, type: number): string => call(filterFor(use), "socket", AF_INET, type, 0);
  assert.is(socket("accept", SOCK_STREAM), "EPERM");
  assert.is(socket("listen", SOCK_STREAM), "ok");
  assert.is(socket("listen", SOCK_DGRAM), "EPERM", "a datagram needs no connect to leave");
  assert.is(socket("stream", SOCK_STREAM), "ok");
  assert.is(socket("stream", SOCK_DGRAM), "EPERM");
  assert.is(socket("connect", SOCK_DGRAM), "ok");
  assert.is(socket("network", SOCK_DGRAM), "ok");
});

/** Has Node serve one request under a filter; the answer. */
async function serve(use: SocketUse, listener?: number): Promise<string> {
  const child = spawn(
    process.execPath,
    [fixture("wasm-process-serve.mjs"), ...(listener === undefined ? [] : ["3"])],
    {
      env: { LD_PRELOAD: preload, SECCOMP_FILTER: filterFor(use) },
      stdio: ["ignore", "pipe", "inherit", ...(listener === undefined ? [] : [listener])],
      timeout: 30_000,
    },
  );
  const ended = once(child, "close");
  const [port] = await once(child.stdout ?? process.stdin, "data");
  const answer = await fetch(`http://127.0.0.1:${String(port).trim()}/`, {
    method: "POST",
    body: "x".repeat(300_000),
  });
  const { length } = await answer.text();
  const [status, signal] = await ended;
  return `${length} ${status ?? signal}`;
}

wasm("lets Node serve http on a listening socket that it was given, or on a port of its own", async () => {
  const listener = native.socketOpen(4, 1);
  native.socketBind(listener, sockaddrFrom({ address: Uint8Array.of(127, 0, 0, 1), port: 0 }));
  native.socketListen(listener, 8);
  assert.is(await serve("accept", listener), "300000 0");
  native.close(listener);
  assert.is(await serve("listen"), "300000 0");
});

wasm("cannot connect by sending", () => {
  for (const use of ["accept", "listen", "stream", "connect", "network"] as const) {
    assert.is(call(filterFor(use), "sendto", -1, 0, 0, MSG_FASTOPEN, 0, 0), "EPERM", use);
    assert.is(call(filterFor(use), "sendmsg", -1, 0, MSG_FASTOPEN), "EPERM", use);
  }
});

wasm("has the options of sockets that the host uses", () => {
  const options: readonly (readonly [level: number, name: number, allowed: boolean])[] = [
    [1, 2, true], // SO_REUSEADDR
    [6, 1, true], // TCP_NODELAY
    [41, 26, true], // IPV6_V6ONLY
    [1, 25, false], // SO_BINDTODEVICE
    [1, 26, false], // SO_ATTACH_FILTER
    [0, 35, false], // IP_ADD_MEMBERSHIP
    [0, 64, false], // IPT_SO_SET_REPLACE
    [6, 31, false], // TCP_ULP
    [6, 13, false], // TCP_CONGESTION
  ];
  for (const [level, name, allowed] of options)
    assert.is(
      call(withNetwork, "setsockopt", -1, level, name, 0, 0),
      allowed ? PASSED : "EPERM",
      `${level} ${name}`,
    );
  assert.is(call(withNetwork, "getsockopt", -1, 1, 4, 0, 0), PASSED, "SO_ERROR");
  assert.is(call(withNetwork, "setsockopt", -1, 1, 4, 0, 0), "EPERM", "which cannot be set");
});

wasm("kills the process that asks for what only an escape would need", () => {
  const lethal = [
    "execve",
    "ptrace",
    "mount",
    "unshare",
    "setns",
    "bpf",
    "userfaultfd",
    "keyctl",
    "open_by_handle_at",
    "chroot",
  ];
  for (const name of lethal) assert.is(call(withNetwork, name), "SIGSYS", name);
});

wasm("fails what Node can do without", () => {
  const failing = [
    "chown",
    "fchown",
    "setuid",
    "setgid",
    "sethostname",
    "mknodat",
    "personality",
    "memfd_create",
    "inotify_init1",
    "shmget",
  ];
  for (const name of failing)
    if (native.largestSyscall([name], native.nativeSeccompArchitecture()) !== undefined)
      assert.is(call(withNetwork, name), "EPERM", name);
});

wasm("says that clone3 and io_uring do not exist", () => {
  for (const name of ["clone3", "io_uring_setup", "io_uring_enter"])
    assert.is(call(withNetwork, name), "ENOSYS", name);
});

wasm("has no clone but that of a thread", () => {
  const CLONE_THREAD = 0x10000 | 0x800 | 0x100;
  assert.is(call(withNetwork, "clone", 17), "EPERM");
  assert.is(call(withNetwork, "clone", CLONE_THREAD | 0x10000000), "EPERM");
  assert.is(call(withNetwork, "clone", 0x00020000 | 17), "EPERM");
});

wasm("reads limits but sets none", () => {
  assert.is(call(withNetwork, "prlimit64", 0, 7, 0, 0), "ok");
  assert.is(call(withNetwork, "prlimit64", 0, 7, 1, 0), "EPERM");
});

wasm.run();
