import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { denials } from "../../../wasm-host/debug/denials.ts";
import { grantLine } from "../../../wasm-host/debug/grant-line.ts";
import { logOf, readLogLevel } from "../../../wasm-host/debug/log-level.ts";
import { watchImports } from "../../../wasm-host/debug/watch-imports.ts";
import { watchP1 } from "../../../wasm-host/debug/watch-p1.ts";
import { err, ok } from "../../../wasm-host/wasi/p2/result.ts";

const test = suite<{ directory: string; fd: number; told(): string }>("denials");

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "tandem-denials-"));
  const path = join(context.directory, "stderr");
  context.fd = openSync(path, "w");
  context.told = () => readFileSync(path, "utf8");
  denials.switchOn(context.fd);
});
test.after.each((context) => {
  denials.switchOff();
  closeSync(context.fd);
  rmSync(context.directory, { recursive: true });
});

const forbidden = { what: "denied", because: "not permitted" } as const;

test("each is told once, and a guest that tries everything is cut short", ({ told }) => {
  for (let round = 0; round < 3; round++) denials.tell("f", '"a"', forbidden);
  assert.is(told(), 'tandem: denied: f "a": not permitted\n');
  for (let index = 0; index < 1000; index++) denials.tell("f", `"${index}"`, forbidden);
  const lines = told().trim().split("\n");
  assert.is(lines.length, 201);
  assert.is(lines.at(-1), "tandem: denied: more than is told here");
});

test("what the guest says cannot be more than a subject", ({ told }) => {
  denials.tell("f", `"\u001b[2J\n${"x".repeat(1000)}"`, forbidden);
  assert.match(told(), /^tandem: denied: f "\ufffd\[2J\ufffdx{294}…: not permitted\n$/);
});

test("functions of WASI 0.1 are told with their path or descriptor", ({ told }) => {
  const memory = Buffer.from("....etc/passwd");
  const results: Readonly<Record<string, number>> = {
    path_open: 63,
    fd_write: 76,
    path_unlink_file: 44,
    fd_read: 8,
  };
  const call = (name: string, ...args: number[]): unknown =>
    watchP1(
      name,
      () => results[name],
      () => memory,
    )(...(args as never[]));
  assert.is(call("path_open", 3, 0, 4, 10), 63);
  call("fd_write", 7, 0, 0, 0);
  call("path_unlink_file", 3, 8, 6);
  call("fd_read", 5);
  assert.is(
    told(),
    'tandem: denied: path_open "etc/passwd": not permitted (perm)\n' +
      "tandem: denied: fd_write descriptor 7: not granted (notcapable)\n" +
      'tandem: missing: path_unlink_file "passwd": there is no such file (noent)\n',
  );
});

test("a pointer out of the guest's memory is nobody's problem", ({ told }) => {
  const refuse = watchP1(
    "path_open",
    () => 76,
    () => new Uint8Array(4),
  );
  refuse(...([3, 0, 0xffff_fff0, 0xffff_ffff] as never[]));
  assert.is(told(), 'tandem: denied: path_open "": not granted (notcapable)\n');
});

test("functions, methods and promises of a component's imports are told, results are as they were", async ({
  told,
}) => {
  class Descriptor {
    openAt(path: string): unknown {
      return path === "good" ? ok(1) : err("no-entry");
    }
  }
  const imports = watchImports({
    "wasi:filesystem/types": { Descriptor },
    "wasi:sockets/name": { resolve: () => err("access-denied") },
    "wasi:http/client@0.3": { send: async () => err({ tag: "HTTP-request-denied" }) },
  }) as Record<string, Record<string, (...args: unknown[]) => unknown>>;
  assert.is(
    imports["wasi:filesystem/types"]?.["Descriptor"],
    Descriptor,
    "the glue knows classes by identity",
  );
  const descriptor = new Descriptor();
  assert.equal([descriptor.openAt("good"), descriptor.openAt("bad")], [ok(1), err("no-entry")]);
  imports["wasi:sockets/name"]?.["resolve"]?.({}, "example.org");
  await imports["wasi:http/client@0.3"]?.["send"]?.({});
  await Promise.resolve();
  assert.is(
    told(),
    'tandem: missing: wasi:filesystem/types#Descriptor.openAt "bad": there is no such file (no-entry)\n' +
      'tandem: denied: wasi:sockets/name#resolve "example.org": not granted (access-denied)\n' +
      "tandem: denied: wasi:http/client@0.3#send: not granted (HTTP-request-denied)\n",
  );
});

test("unless it is asked for, imports are as they are", () => {
  denials.switchOff();
  const provided = { "wasi:a/b": { f: () => {} } };
  assert.is(watchImports(provided), provided);
  assert.is(provided["wasi:a/b"].f, provided["wasi:a/b"].f);
});

test("levels are read, and what is none is said", () => {
  assert.equal([logOf(undefined), logOf(""), logOf("off"), logOf("debug")], [{}, {}, {}, { log: "debug" }]);
  assert.throws(() => readLogLevel("verbose"), /^TANDEM_LOG=verbose: is none of off, info, debug$/m);
});

test("a grant is a line without values of the environment", () => {
  const line = grantLine({
    args: ["a"],
    env: [["SECRET", "x"]],
    preopens: [{ guestPath: "/", readonly: true, source: { bind: "/host", recursive: true }, mounts: [] }],
    listeners: 0,
    network: { outbound: ["*"], inbound: [], resolver: { resolvConf: "long", hosts: "long" } },
  });
  const { env, preopens, network } = JSON.parse(line.replace("tandem: granted: ", "")) as Record<
    string,
    unknown
  >;
  assert.equal(env, ["SECRET"]);
  assert.equal(preopens, [{ guestPath: "/", readonly: true, mounts: [] }]);
  assert.equal(network, { outbound: ["*"], inbound: [] });
});

test.run();
