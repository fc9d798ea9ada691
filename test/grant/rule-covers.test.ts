import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { inboundCovers, outboundCovers } from "../../src/grant/rule-covers.ts";
import { NetworkRules } from "../../wasm-host/network/network-rules.ts";

const test = suite("what a rule of the network covers");

test("names, suffixes, blocks and ports that lie within", () => {
  for (const [allowed, wanted] of [
    ["*", "example.com"],
    ["*:443", "*.example.com:443"],
    ["*", "192.0.2.1:80"],
    ["*.example.com", "a.example.com:1-9"],
    ["*.example.com", "*.b.example.com"],
    ["example.com", "EXAMPLE.com"],
    ["10.0.0.0/8:1-100", "10.1.0.0/16:5-6"],
    ["[2001:db8::]/32", "[2001:db8::1]:80"],
    ["*", "http:example.com"],
    ["tcp+http:*:443", "http:example.com:443"],
  ] as const)
    assert.ok(outboundCovers(allowed, wanted), `${allowed} covers ${wanted}`);
});

test("and nothing beside", () => {
  for (const [allowed, wanted] of [
    ["*:443", "example.com"],
    ["*:443", "example.com:442-443"],
    // What `*` leaves out is not let in by another spelling.
    ["*", "169.254.169.254"],
    ["*", "0.0.0.0/0"],
    ["*", "10.0.0.0/8"],
    ["*.example.com", "example.com"],
    ["*.example.com", "badexample.com"],
    ["a.example.com", "*.example.com"],
    ["example.com", "*"],
    ["10.0.0.0/8", "*"],
    ["10.1.0.0/16", "10.0.0.0/8"],
    ["10.0.0.0/8", "11.0.0.1"],
    ["192.0.2.1", "example.com"],
    ["http:*", "example.com"],
    ["http:*", "tcp:example.com"],
    ["tcp+http:*", "tcp+dns:example.com"],
  ] as const)
    assert.not.ok(outboundCovers(allowed, wanted), `${allowed} covers ${wanted}`);
});

test("addresses to bind", () => {
  assert.ok(inboundCovers("*:0-65535", "127.0.0.1:80"));
  assert.ok(inboundCovers("127.0.0.0/8:80", "127.0.0.1:80"));
  assert.not.ok(inboundCovers("127.0.0.1:80", "*:80"));
  assert.ok(inboundCovers("*:80", "udp:*:80"));
  assert.not.ok(inboundCovers("udp:*:80", "*:80"));
  assert.not.ok(inboundCovers("127.0.0.1:80", "127.0.0.1:81"));
  assert.not.ok(inboundCovers("127.0.0.1:80", "127.0.0.0/8:80"));
});

/** Around a few values, so that rules meet. */
const octet = fc.constantFrom(0, 1, 10, 127, 169, 192, 254, 255);
const port = fc.constantFrom(1, 80, 443, 65_535);
const ports = fc.oneof(
  fc.constant(""),
  port.map((one) => `:${one}`),
  fc.tuple(port, port).map(([a, b]) => `:${Math.min(a, b)}-${Math.max(a, b)}`),
);
const block = fc
  .tuple(octet, octet, octet, octet, fc.constantFrom(0, 8, 16, 24, 32))
  .map(([a, b, c, d, bits]) => {
    const kept = [a, b, c, d].map((byte, at) => (8 * at < bits ? byte : 0));
    return `${kept.join(".")}/${bits}`;
  });
const rule = fc.tuple(fc.oneof(block, fc.constant("*")), ports).map(([host, behind]) => host + behind);

test("whatever a covered rule lets a guest reach, the covering one does", () => {
  void fc.assert(
    fc.property(rule, rule, fc.tuple(octet, octet, octet, octet), port, (allowed, wanted, address, at) => {
      if (!outboundCovers(allowed, wanted)) return;
      const reaches = (text: string) =>
        new NetworkRules({ outbound: [text], inbound: [] }).allowsConnect(
          "tcp",
          Uint8Array.from(address),
          at,
        );
      assert.ok(
        !reaches(wanted) || reaches(allowed),
        `${wanted} within ${allowed}: ${address.join(".")}:${at}`,
      );
    }),
    { numRuns: 3000 },
  );
});

test("every rule covers itself, but for blocks that `*` has parts of", () => {
  void fc.assert(fc.property(rule, (one) => assert.ok(outboundCovers(one, one), one)));
});

test.run();
