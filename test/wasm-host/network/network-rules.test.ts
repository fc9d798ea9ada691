import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../../src/errors.ts";
import {
  formatAddress,
  type IpAddress,
  isSpecial,
  parseAddress,
} from "../../../wasm-host/network/address.ts";
import { NetworkRules } from "../../../wasm-host/network/network-rules.ts";

const test = suite("network rules");

function rules(outbound: readonly string[], inbound: readonly string[] = []): NetworkRules {
  return new NetworkRules({ outbound, inbound });
}

function ip(text: string): IpAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address;
}

/** What of these the guest may have. */
function resolve(to: NetworkRules, name: string, addresses: readonly string[]): string[] {
  return to.noteResolved(name, addresses.map(ip)).map(formatAddress);
}

test("An empty grant allows nothing", () => {
  const nothing = rules([]);
  assert.not(nothing.allowsName("dns", "example.com"));
  assert.not(nothing.allowsConnect("tcp", ip("10.0.0.1"), 80));
  assert.not(nothing.allowsBind("tcp", ip("127.0.0.1"), 0));
  assert.equal(resolve(nothing, "example.com", ["93.184.216.34"]), []);
  assert.not(nothing.allowsConnect("tcp", ip("93.184.216.34"), 80));
});

test("A name allows the addresses that it was resolved to, on the rule's ports, and none before", () => {
  const one = rules(["example.com:443"]);
  const address = ip("93.184.216.34");
  assert.ok(one.allowsName("dns", "example.com"));
  assert.not(one.allowsName("dns", "www.example.com"));
  assert.not(one.allowsConnect("tcp", address, 443));
  assert.equal(resolve(one, "example.com", ["93.184.216.34"]), ["93.184.216.34"]);
  assert.ok(one.allowsConnect("tcp", address, 443));
  assert.not(one.allowsConnect("tcp", address, 80));
  assert.not(one.allowsConnect("tcp", ip("93.184.216.35"), 443));
});

test("The address of a name has the ports of every rule that names it", () => {
  const two = rules(["a.test:80", "b.test:443", "*.test:8000-8002"]);
  resolve(two, "a.test", ["10.0.0.1"]);
  resolve(two, "b.test", ["10.0.0.1"]);
  const allowed = [80, 443, 8000, 8001, 8002, 81, 7999, 8003].map((port) =>
    two.allowsConnect("tcp", ip("10.0.0.1"), port),
  );
  assert.equal(allowed, [true, true, true, true, true, false, false, false]);
});

test("A suffix is of names below it, and of no other", () => {
  const below = rules(["*.example.com"]);
  assert.ok(below.allowsName("dns", "a.example.com") && below.allowsName("dns", "a.b.example.com"));
  assert.not(below.allowsName("dns", "example.com"));
  assert.not(below.allowsName("dns", "evilexample.com"));
});

test("Rules and names have one spelling", () => {
  assert.ok(rules(["EXAMPLE.com."]).allowsName("dns", "example.com"));
  assert.ok(rules(["münchen.de"]).allowsName("dns", "xn--mnchen-3ya.de"));
});

test("A name cannot be made to lead to special addresses", () => {
  const named = rules(["rebind.test", "*.test"]);
  const special = [
    "127.0.0.1",
    "169.254.169.254",
    "::1",
    "fe80::1",
    "0.0.0.0",
    "224.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
  ];
  assert.equal(resolve(named, "rebind.test", [...special, "10.0.0.7"]), ["10.0.0.7"]);
  for (const text of special) assert.not(named.allowsConnect("tcp", ip(text), 80), text);
});

test("… unless a rule with addresses allows them", () => {
  const both = rules(["rebind.test", "127.0.0.0/8:8080"]);
  assert.equal(resolve(both, "rebind.test", ["127.0.0.1", "169.254.169.254"]), ["127.0.0.1"]);
  assert.ok(both.allowsConnect("tcp", ip("127.0.0.1"), 8080));
  assert.not(both.allowsConnect("tcp", ip("127.0.0.1"), 80));
});

test("localhost is loopback, whatever a hosts file says of it", () => {
  const local = rules(["localhost:3500"]);
  assert.equal(resolve(local, "localhost", ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254"]), [
    "127.0.0.1",
    "::1",
  ]);
  assert.ok(local.allowsConnect("tcp", ip("127.0.0.1"), 3500));
  assert.ok(local.allowsConnect("tcp", ip("::1"), 3500));
  assert.not(local.allowsConnect("tcp", ip("10.0.0.1"), 3500));
  assert.not(local.allowsConnect("tcp", ip("127.0.0.1"), 3501));
});

test("Everybody does not mean metadata services and multicast", () => {
  const all = rules(["*"]);
  for (const text of ["127.0.0.1", "10.0.0.1", "8.8.8.8", "::1", "fd00::1", "2001:db8::1"])
    assert.ok(all.allowsConnect("tcp", ip(text), 1), text);
  for (const text of [
    "169.254.169.254",
    "fe80::1",
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",
    "::",
    "::ffff:169.254.169.254",
  ])
    assert.not(all.allowsConnect("tcp", ip(text), 80), text);
  assert.ok(all.allowsName("dns", "anything.example"));
  assert.ok(rules(["*", "169.254.169.254:80"]).allowsConnect("tcp", ip("169.254.169.254"), 80));
});

test("An IPv4-mapped address is the IPv4 address", () => {
  const four = rules(["127.0.0.1:80", "10.0.0.0/8"]);
  assert.ok(four.allowsConnect("tcp", ip("::ffff:127.0.0.1"), 80));
  assert.not(four.allowsConnect("tcp", ip("::ffff:127.0.0.2"), 80));
  assert.ok(rules(["[::ffff:10.0.0.0/104]"]).allowsConnect("tcp", ip("10.1.2.3"), 80));
});

test("Where a guest may bind", () => {
  const some = rules([], ["*:8080", "127.0.0.1:0", "0.0.0.0:9000-9001", "[fd00::1]:53"]);
  const bind = (address: string, port: number): boolean => some.allowsBind("tcp", ip(address), port);
  assert.ok(bind("0.0.0.0", 8080) && bind("::", 8080) && bind("10.0.0.1", 8080));
  assert.ok(bind("127.0.0.1", 0));
  assert.not(bind("0.0.0.0", 0) || bind("127.0.0.1", 8081) || bind("127.0.0.2", 0));
  assert.ok(bind("0.0.0.0", 9000) && bind("10.0.0.1", 9001));
  assert.not(bind("::", 9000) || bind("fd00::2", 53) || bind("::", 53));
  assert.ok(bind("fd00::1", 53));
});

test("Addresses and blocks in their notations", () => {
  for (const rule of [
    "10.0.0.0/8",
    "10.0.0.0/8:443",
    "[2001:db8::1]",
    "[2001:db8::1]:443",
    "[2001:db8::]/32:1-2",
    "2001:db8::/32",
    "[2001:db8::/32]:1",
  ])
    assert.ok(rules([rule]), rule);
  assert.ok(rules(["2001:db8::/32:443"]).allowsConnect("tcp", ip("2001:db8::5"), 443));
  assert.not(rules(["2001:db8::/32:443"]).allowsConnect("tcp", ip("2001:db8::5"), 444));
});

test("A rule that is wrong is named with what is wrong with it", () => {
  const wrong: readonly [string, RegExp][] = [
    ["", /is empty/],
    [":80", /is empty|brackets/],
    ["2001:db8::1", /needs brackets/],
    ["[10.0.0.1]", /no IPv6 address in its brackets/],
    ["host:0", /no port between 1 and 65535/],
    ["host:65536", /no port/],
    ["host:9-1", /no port/],
    ["host:", /no port/],
    ["10.0.0.1/8", /no block/],
    ["10.0.0.0/40", /no block/],
    ["a b", /no name and no address/],
    ["http://a", /no port/],
    ["*.10.0.0.1", /no name/],
    ["*foo.com", /no name/],
    ["0x7f.1", /another spelling/],
    ["tpc:10.0.0.1:80", /or what it is for \(tcp, udp, dns, http\)/],
    ["tcp:", /no port/],
    ["dns:10.0.0.1", /no name that could be looked up/],
  ];
  for (const [rule, message] of wrong) {
    try {
      rules([rule]);
    } catch (error) {
      assert.instance(error, TandemError);
      assert.is((error as TandemError).code, "invalid_argument");
      assert.match((error as TandemError).message, message, rule);
      assert.match((error as TandemError).message, /^network grant, outbound rule /);
      continue;
    }
    assert.unreachable(`${rule} was taken`);
  }
  assert.throws(() => rules([], ["*"]), /inbound rule \*: has no port/);
  assert.throws(() => rules([], ["http:*:80"]), /inbound rule http:\*:80: /);
  assert.throws(() => rules([], ["host:80"]), /inbound rule host:80: has no address/);
});

test("A guest that looks up without end forgets its first names and nothing else", () => {
  const many = rules(["*.test"]);
  for (let index = 0; index < 5000; index++)
    resolve(many, "a.test", [`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`]);
  assert.not(many.allowsConnect("tcp", ip("10.0.0.0"), 80));
  assert.ok(many.allowsConnect("tcp", ip("10.0.19.135"), 80));
});

test("A rule is for the protocols that it begins with, and for all without", () => {
  const by = ["tcp", "udp", "http"] as const;
  const allowed = (rule: string, address = "10.0.0.1") =>
    by.filter((protocol) => rules([rule]).allowsConnect(protocol, ip(address), 80));
  assert.equal(allowed("10.0.0.1:80"), ["tcp", "udp", "http"]);
  assert.equal(allowed("tcp:10.0.0.1:80"), ["tcp"]);
  assert.equal(allowed("http+udp:*"), ["udp", "http"]);
  assert.equal(allowed("udp:[2001:db8::/32]:80", "2001:db8::1"), ["udp"]);
  assert.not(rules(["tcp+udp+http:*"]).allowsName("dns", "a.test"));
  assert.ok(rules(["dns:*"]).allowsName("dns", "a.test"));
  assert.not(rules(["dns:*"]).allowsName("http", "a.test"));
  assert.equal(allowed("dns:*"), []);
  // A host can have the name of a protocol.
  assert.ok(rules(["dns:53"]).allowsName("dns", "dns", 53));
  const binds = (rule: string) =>
    (["tcp", "udp"] as const).filter((protocol) => rules([], [rule]).allowsBind(protocol, ip("::1"), 1));
  assert.equal([binds("*:1"), binds("udp:*:1"), binds("tcp:[::1]:1")], [["tcp", "udp"], ["udp"], ["tcp"]]);
  const narrowed = new NetworkRules({ outbound: ["tcp+udp:*"], inbound: [], protocols: ["udp", "http"] });
  assert.equal(
    (["tcp", "udp", "dns", "http"] as const).filter((protocol) => narrowed.allowsProtocol(protocol)),
    ["udp"],
  );
});

test("What a name was resolved to is for the protocols of the rules with that name", () => {
  const split = rules(["dns:*", "tcp:a.test:80", "http:b.test"]);
  resolve(split, "a.test", ["10.0.0.1"]);
  resolve(split, "b.test", ["10.0.0.2"]);
  resolve(split, "c.test", ["10.0.0.3"]);
  const reached = (["tcp", "udp", "http"] as const).flatMap((by) =>
    ["10.0.0.1", "10.0.0.2", "10.0.0.3"].flatMap((text) =>
      split.allowsConnect(by, ip(text), 80) ? [`${by} ${text}`] : [],
    ),
  );
  assert.equal(reached, ["tcp 10.0.0.1", "http 10.0.0.2"]);
});

const anyAddress = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);
const port = fc.integer({ min: 1, max: 65_535 });

test("Without a look-up, rules with names allow no address at all", () => {
  fc.assert(
    fc.property(
      fc.array(fc.domain()),
      anyAddress,
      port,
      (names, address, at) => !rules(names).allowsConnect("tcp", address, at),
    ),
  );
});

test("A look-up never allows a special address", () => {
  fc.assert(
    fc.property(fc.domain(), fc.array(anyAddress, { maxLength: 8 }), port, (name, addresses, at) => {
      const named = rules([name]);
      named.noteResolved(name.toLowerCase(), addresses);
      return addresses.every((address) => named.allowsConnect("tcp", address, at) === !isSpecial(address));
    }),
  );
});

test("A rule for one address and port allows exactly that", () => {
  fc.assert(
    fc.property(anyAddress, port, anyAddress, port, (address, at, other, otherPort) => {
      const text = formatAddress(address);
      const one = rules([address.length === 4 ? `${text}:${at}` : `[${text}]:${at}`]);
      const same = formatAddress(other) === text && otherPort === at;
      return one.allowsConnect("tcp", address, at) && one.allowsConnect("tcp", other, otherPort) === same;
    }),
  );
});

test.run();
