import { BlockList, isIPv6 } from "node:net";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  canonical,
  formatAddress,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isSpecial,
  parseAddress,
  sameAddress,
} from "../../../wasm-host/network/address.ts";
import { contains, parseBlock } from "../../../wasm-host/network/address-block.ts";
import { parseHost } from "../../../wasm-host/network/host-name.ts";

const test = suite("addresses");

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** Many zeros, so that "::" has something to stand for. */
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.nat(255)), { minLength: 16, maxLength: 16 })
  .map((bytes) => Uint8Array.from(bytes));
const address = fc.oneof(ipv4, ipv6);

function parsed(text: string): Uint8Array {
  const found = parseAddress(text);
  if (found === undefined) throw new Error(`${text} is no address`);
  return found;
}

test("An address that is written can be read again", () => {
  fc.assert(fc.property(address, (bytes) => sameAddress(parsed(formatAddress(bytes)), bytes)));
});

test("Every spelling of an IPv6 address is the same address", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      fc.pre(isIPv6(text));
      return sameAddress(parsed(text), parsed(new URL(`http://[${text}]`).hostname.slice(1, -1)));
    }),
  );
});

test("A block holds what Node's own list of blocks says it holds", () => {
  fc.assert(
    fc.property(address, address, fc.nat(128), (base, other, bits) => {
      const prefix = Math.min(bits, 8 * base.length);
      const masked = base.map((byte, at) => byte & ~(255 >> Math.min(8, Math.max(0, prefix - 8 * at))));
      const block = parseBlock(`${formatAddress(masked)}/${prefix}`);
      if (block === undefined) return false;
      const list = new BlockList();
      list.addSubnet(formatAddress(masked), prefix, masked.length === 4 ? "ipv4" : "ipv6");
      return [base, other].every((one) => {
        const target = canonical(one);
        // Node lets IPv4 in by the IPv6 blocks above ::ffff:0:0/96; here a family has its own blocks.
        if (masked.length !== one.length || target.length !== one.length) return true;
        return (
          contains(block, target) === list.check(formatAddress(target), target.length === 4 ? "ipv4" : "ipv6")
        );
      });
    }),
  );
});

test("Bits behind the prefix of a block are a mistake", () => {
  assert.is(parseBlock("10.0.0.1/8"), undefined);
  assert.is(parseBlock("2001:db8::1/64"), undefined);
  assert.is(parseBlock("10.0.0.0/33"), undefined);
  assert.ok(parseBlock("10.0.0.0/8"));
});

test("Addresses that no name may lead to", () => {
  const special = [
    ...[
      "127.0.0.1",
      "127.255.0.9",
      "0.0.0.0",
      "0.1.2.3",
      "169.254.169.254",
      "224.0.0.1",
      "239.1.1.1",
      "240.0.0.1",
    ],
    ...[
      "255.255.255.255",
      "::1",
      "::",
      "fe80::1",
      "febf::1",
      "ff02::1",
      "::ffff:127.0.0.1",
      "::ffff:169.254.169.254",
    ],
    ...["::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1"],
  ];
  for (const text of special) assert.ok(isSpecial(parsed(text)), text);
  const ordinary = [
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "100.64.0.1",
    "8.8.8.8",
    "fd00::1",
    "2001:db8::1",
    "fec0::1",
  ];
  for (const text of ordinary) assert.not.ok(isSpecial(parsed(text)), text);
});

test("What is loopback, link-local or multicast is special, in IPv6's clothes too", () => {
  fc.assert(
    fc.property(ipv4, (bytes) => {
      const mapped = Uint8Array.from([...new Array<number>(10).fill(0), 255, 255, ...bytes]);
      const special = isLoopback(bytes) || isLinkLocal(bytes) || isMulticast(bytes);
      return !special || (isSpecial(bytes) && isSpecial(mapped) && sameAddress(canonical(mapped), bytes));
    }),
  );
});

test("Hosts are read as URLs read them", () => {
  const addressOf = (text: string): string => {
    const host = parseHost(text);
    return host !== undefined && "address" in host ? formatAddress(host.address) : "none";
  };
  for (const text of ["127.0.0.1", "0x7f.1", "0177.0.0.1", "2130706433", "127.1"])
    assert.is(addressOf(text), "127.0.0.1", text);
  for (const text of ["::1", "[::1]", "0:0:0:0:0:0:0:1"]) assert.is(addressOf(text), "::1", text);
  assert.is(addressOf("::ffff:127.0.0.1"), "::ffff:7f00:1");
  assert.equal(parseHost("Example.COM"), { name: "example.com", absolute: false });
  assert.equal(parseHost("example.com."), { name: "example.com", absolute: true });
  assert.equal(parseHost("münchen.de"), { name: "xn--mnchen-3ya.de", absolute: false });
  assert.equal(parseHost("_dns.srv.local"), { name: "_dns.srv.local", absolute: false });
});

test("What is no host is not taken for one", () => {
  const wrong = [
    "",
    " ",
    "a.b<&>",
    "127.0.0.1:80",
    "[::]:80",
    "http://example.com/",
    "a b",
    "a%62",
    "user@host",
    "a..b",
    ".",
    "1.2.3.4.5",
  ];
  for (const text of [...wrong, "fe80::1%eth0", "[127.0.0.1]", `${"a".repeat(64)}.com`, "a/b", "a\0b"])
    assert.is(parseHost(text), undefined, text);
});

test.run();
