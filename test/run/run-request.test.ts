import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type RunRequest, readRunRequest, readServeRequest } from "../../src/run/run-request.ts";
import { NetworkRules } from "../../wasm-host/network/network-rules.ts";

const test = suite("command line of tandem run");

const caller = {
  env: new Map([
    ["HOME", "/home/me"],
    ["LANG", "C"],
  ]),
  exists: (path: string) => path === "odd#name.wasm",
};

function read(...args: string[]): RunRequest {
  const request = readRunRequest(args, caller);
  if (request === "help") throw new Error("help");
  return request;
}

test("nothing is granted without an option", () => {
  const { env, directories, network, listen, listenFds, clocks, random, limits, explain } = read("app.wasm");
  assert.equal(
    { env, directories, network, listen, listenFds },
    {
      ...{ env: [], directories: [], network: undefined, listen: [], listenFds: false },
    },
  );
  assert.equal([clocks, random, limits, explain], [undefined, undefined, undefined, "no"]);
});

test("whatever follows the file is the guest's", () => {
  const word = fc.oneof(fc.string(), fc.constantFrom("--dir", "-S", "--help", "--", "-W", "http"));
  void fc.assert(
    fc.property(fc.array(word), (words) => {
      const { args, directories, network } = read("--env", "A=1", "dir/app.wasm", ...words);
      assert.equal(args, ["app.wasm", ...words]);
      assert.equal(directories, []);
      assert.is(network, undefined);
    }),
  );
});

test("the export is the file's or --invoke's, and a file may have a # of its own", () => {
  assert.equal([read("m.wasm#f", "1").file, read("m.wasm#f", "1").entry], ["m.wasm", "f"]);
  assert.is(read("--invoke", "f", "m.wasm").entry, "f");
  const nested = read("m.wasm#acme:shop/api#f(1)");
  assert.equal([nested.file, nested.entry], ["m.wasm", "acme:shop/api#f(1)"]);
  assert.equal([read("odd#name.wasm").file, read("odd#name.wasm").entry], ["odd#name.wasm", undefined]);
  assert.throws(() => read("--invoke", "g", "m.wasm#f"), /names f already/);
  assert.is(read("--argv0", "sh", "m.wasm").args[0], "sh");
});

test("directories have a name in the guest, and may be read-only", () => {
  const directories = (text: string) => read("--dir", text, "m.wasm").directories;
  assert.equal(directories("."), [{ host: ".", guest: ".", readonly: false }]);
  assert.equal(directories("a::/b"), [{ host: "a", guest: "/b", readonly: false }]);
  assert.equal(directories("a::/b::ro"), [{ host: "a", guest: "/b", readonly: true }]);
  for (const wrong of ["", "::/b", "a::", "a::/b::rx", "a::/b::ro::x"])
    assert.throws(() => directories(wrong), /--dir/, wrong);
});

test("variables are given, the caller's one, or all of the caller's", () => {
  assert.equal(read("--env", "A=b=c", "--env", "HOME", "--env", "NONE", "m").env, [
    ["A", "b=c"],
    ["HOME", "/home/me"],
  ]);
  assert.equal(read("-Sinherit-env", "--env=LANG=de", "m").env, [
    ["HOME", "/home/me"],
    ["LANG", "de"],
  ]);
  assert.throws(() => read("--env", "=x", "m"), /has no name/);
});

test("the network is what is named, by the protocols that go with it", () => {
  const network = (...args: string[]) => read(...args, "m").network;
  assert.equal(network("-S", "inherit-network"), { outbound: ["tcp+udp:*"], inbound: ["*:0-65535"] });
  assert.equal(network("-Sinherit-network,udp=n"), {
    ...{ outbound: ["tcp+udp:*"], inbound: ["*:0-65535"], protocols: ["tcp", "dns", "http"] },
  });
  assert.equal(network("-S", "http"), { outbound: ["http:*"], inbound: [] });
  assert.equal(network("--allow", "example.com:443"), { outbound: ["example.com:443"], inbound: [] });
  assert.equal(network("--bind", "127.0.0.1:0"), { outbound: [], inbound: ["127.0.0.1:0"] });
  // As with wasmtime these alone open nothing.
  assert.is(network("-Stcp,udp"), undefined);
});

test("an option of the network gives nothing to another one", () => {
  const inside = Uint8Array.of(10, 0, 0, 1);
  const beside = Uint8Array.of(10, 0, 0, 2);
  const everything = ["-Sinherit-network", "-Shttp", "-Sallow-ip-name-lookup"];
  const options = ["--allow=10.0.0.1:80", "--bind=127.0.0.1:80", ...everything] as const;
  void fc.assert(
    fc.property(fc.subarray([...options], { minLength: 1 }), (given) => {
      const has = (option: string) => given.includes(option);
      const { network } = read(...given, "m");
      if (network === undefined) return assert.unreachable();
      const rules = new NetworkRules(network);
      const listed = has("--allow=10.0.0.1:80");
      for (const by of ["tcp", "udp"] as const) {
        assert.is(rules.allowsConnect(by, inside, 80), listed || has("-Sinherit-network"));
        assert.is(rules.allowsConnect(by, inside, 81), has("-Sinherit-network"));
        assert.is(rules.allowsConnect(by, beside, 80), has("-Sinherit-network"));
        assert.is(rules.allowsBind(by, inside, 80), has("-Sinherit-network"));
      }
      assert.is(rules.allowsConnect("http", inside, 80), listed || has("-Shttp"));
      assert.is(rules.allowsConnect("http", beside, 80), has("-Shttp"));
      assert.is(rules.allowsName("http", "a.test", 80), has("-Shttp"));
      assert.is(rules.allowsName("dns", "a.test"), has("-Sallow-ip-name-lookup"));
    }),
  );
});

test("a rule that cannot be read is refused with the command line", () => {
  assert.throws(() => read("--allow", "tpc:10.0.0.1:80", "m"), /outbound rule tpc:10\.0\.0\.1:80/);
  assert.throws(() => read("--bind", "localhost:80", "m"), /inbound rule localhost:80: has no address/);
});

test("what is switched off is so for all options", () => {
  const { network } = read("--allow=*", "-Sinherit-network", "-Stcp=n,http=n", "m");
  const rules = new NetworkRules(network ?? { outbound: [], inbound: [] });
  assert.equal(
    (["tcp", "udp", "dns", "http"] as const).map((protocol) => rules.allowsProtocol(protocol)),
    [false, true, true, false],
  );
});

test("wasmtime's groups: attached, with commas, as often as one likes", () => {
  assert.ok(read("-Wcomponent-model-async", "-Sp3,http", "-S", "cli", "m").network !== undefined);
  assert.is(read("-Wtimeout=500ms", "m").limits?.wallMs, 500);
  assert.is(read("-W", "max-memory-size=1_000", "m").limits?.memoryBytes, 1000);
  assert.is(read("-W", "max_memory_size=0x10", "m").limits?.memoryBytes, 16);
});

test("what is not supported is refused by its name", () => {
  for (const [args, named] of [
    [["-Snn"], "-S nn"],
    [["-S", "tls"], "-S tls"],
    [["-Wfuel=1"], "-W fuel=1"],
    [["-Cache=y"], "-Cache=y"],
    [["-O2"], "-O2"],
    [["--nonsense"], "--nonsense"],
    [["-D", "x"], "-D"],
  ] as const)
    assert.throws(
      () => read(...args, "m"),
      (error: Error) => error.message.includes(named),
      named,
    );
  assert.throws(() => read("-Wsimd=n", "m"), /cannot be switched off/);
  assert.throws(() => read("-Shttp=maybe", "m"), /y or n/);
  assert.throws(() => read("--json", "m"), /--explain/);
  assert.throws(() => read(), /is missing/);
  assert.throws(() => read("--listen", "localhost:1", "m"), /ADDRESS:PORT/);
});

test("durations and counts are whole and not negative", () => {
  const limit = (text: string) => read(`-Wtimeout=${text}`, "m").limits?.wallMs;
  assert.equal(["2", "2s", "3ms", "1us"].map(limit), [2000, 2000, 3, 1]);
  for (const wrong of ["", "-1", "1.5", "1h", "s"]) assert.throws(() => limit(wrong), /duration/, wrong);
  for (const wrong of ["", "-1", "1e3", "9007199254740993"])
    assert.throws(() => read(`--max-output=${wrong}`, "m"), /count/, wrong);
});

test("a seed of any length is 32 bytes, and the same every time", () => {
  void fc.assert(
    fc.property(fc.string(), (seed) => {
      const one = read("--seed", seed, "m").random?.seed;
      assert.match(one ?? "", /^[0-9a-f]{64}$/);
      assert.is(one, read("--seed", seed, "m").random?.seed);
    }),
  );
  assert.is(read("--seed", "AB".repeat(32), "m").random?.seed, "ab".repeat(32));
});

test("serve has an address, limits of HTTP, and no arguments for the guest", () => {
  const serve = (...args: string[]) => {
    const request = readServeRequest(args, caller);
    return request === "help" ? undefined : request.serve;
  };
  assert.equal(serve("h.wasm"), { address: "0.0.0.0:8080", limits: {} });
  assert.equal(serve("-Scli", "--addr=[::1]:0", "--max-body", "9", "--request-timeout=2s", "h.wasm"), {
    address: "[::1]:0",
    limits: { maxBodyBytes: 9, requestTimeoutMs: 2000 },
  });
  for (const wrong of ["8080", "localhost:80", "::1:80", "1.2.3.4:70000", "[1.2.3.4]:80"])
    assert.throws(() => serve("--addr", wrong, "h.wasm"), /ADDRESS:PORT/, wrong);
  assert.throws(() => serve("h.wasm", "x"), /unexpected x/);
});

test.run();
