import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { NetworkGrant } from "../../../wasm-host/grant.ts";
import { formatAddress, parseAddress } from "../../../wasm-host/network/address.ts";
import { decodeResponse, encodeQuery } from "../../../wasm-host/network/dns-message.ts";
import { parseHosts } from "../../../wasm-host/network/hosts-file.ts";
import { lookUp } from "../../../wasm-host/network/name-lookup.ts";
import { parseResolvConf } from "../../../wasm-host/network/resolv-conf.ts";
import { rulesOf } from "../../../wasm-host/network/rules-of.ts";
import { type Answer, DnsServer, encodeAnswer, encodeName, type Question } from "./dns-server.ts";

const test = suite("name look-up");
const A = 1;
const CNAME = 5;
const AAAA = 28;

/** Own addresses of the loopback network, so that no other server is in the way. */
let last = 10;

function four(...bytes: number[]): Uint8Array {
  return Uint8Array.from(bytes);
}

function grantWith(options: {
  servers?: readonly string[];
  lines?: string;
  hosts?: string;
  outbound?: readonly string[];
}): NetworkGrant {
  const { servers = [], lines = "", hosts = "", outbound = ["*"] } = options;
  const resolvConf = `${servers.map((server) => `nameserver ${server}\n`).join("")}${lines}`;
  return { outbound, inbound: [], resolver: { resolvConf, hosts } };
}

async function resolve(name: string, grant: NetworkGrant): Promise<string> {
  const result = await lookUp(name, grant);
  return result.tag === "err" ? result.val : result.val.map(formatAddress).join(" ");
}

async function withServer(
  answer: (question: Question, query: Buffer) => Answer | undefined,
  body: (address: string, server: DnsServer) => Promise<void>,
): Promise<void> {
  const server = new DnsServer(answer);
  const address = `127.53.0.${last++}`;
  await server.listen(address);
  try {
    await body(address, server);
  } finally {
    server.close();
  }
}

test("Addresses need nobody to be asked, in every spelling", async () => {
  const none = grantWith({ outbound: [] });
  assert.is(await resolve("127.0.0.1", none), "127.0.0.1");
  assert.is(await resolve("0x7f.1", none), "127.0.0.1");
  assert.is(await resolve("[::1]", none), "::1");
  assert.is(await resolve("DEAD:BEEF::0", none), "dead:beef::");
  assert.is(await resolve("::ffff:10.0.0.1", none), "10.0.0.1", "never an IPv4-mapped address");
});

test("What is no host is an invalid argument, before any rule is looked at", async () => {
  for (const text of ["", " ", "a.b<&>", "127.0.0.1:80", "[::]:80", "http://example.com/"])
    assert.is(await resolve(text, grantWith({ outbound: [] })), "invalid-argument", text);
});

test("A name that no rule has is denied, and nobody hears of it", async () => {
  await withServer(
    () => ({ records: [] }),
    async (address, server) => {
      assert.is(
        await resolve("secret.test", grantWith({ servers: [address], outbound: ["a.test", "10.0.0.0/8"] })),
        "access-denied",
      );
      assert.equal(server.questions, []);
    },
  );
});

test("Both kinds of addresses are asked for, and the rules learn of them", async () => {
  const grant = grantWith({ outbound: ["web.test:80"] });
  const v6 = parseAddress("2001:db8::7") ?? four();
  await withServer(
    ({ name, type }) => ({ records: [type === A ? [name, A, four(10, 0, 0, 7)] : [name, AAAA, v6]] }),
    async (address, server) => {
      const own: NetworkGrant = { ...grant, resolver: { resolvConf: `nameserver ${address}`, hosts: "" } };
      assert.equal((await resolve("Web.Test.", own)).split(" ").sort(), ["10.0.0.7", "2001:db8::7"]);
      assert.equal(server.questions.map(({ type }) => type).sort(), [A, AAAA]);
      assert.ok(rulesOf(own).allowsConnect("tcp", four(10, 0, 0, 7), 80));
      assert.ok(rulesOf(own).allowsConnect("tcp", v6, 80));
      assert.not(rulesOf(own).allowsConnect("tcp", four(10, 0, 0, 7), 81));
    },
  );
});

test("Aliases are followed, also when the answer has them in another order", async () => {
  await withServer(
    ({ type }) =>
      type === A
        ? {
            records: [
              ["c.cdn.test", A, four(10, 0, 0, 1)],
              ["other.test", A, four(10, 9, 9, 9)],
              ["b.cdn.test", CNAME, encodeName("c.cdn.test")],
              ["www.test", CNAME, encodeName("b.cdn.test")],
            ],
          }
        : {},
    async (address) => assert.is(await resolve("www.test", grantWith({ servers: [address] })), "10.0.0.1"),
  );
});

test("The search list is gone through as resolv.conf says", async () => {
  await withServer(
    ({ name, type }) =>
      name === "redis.default.svc.test" && type === A
        ? { records: [[name, A, four(10, 1, 1, 1)]] }
        : { code: 3 },
    async (address, server) => {
      const asked = (): string[] => [...new Set(server.questions.splice(0).map(({ name }) => name))];
      const grant = grantWith({
        servers: [address],
        lines: "search default.svc.test svc.test\noptions ndots:2",
      });
      assert.is(await resolve("redis", grant), "10.1.1.1");
      assert.equal(asked(), ["redis.default.svc.test"]);
      assert.is(await resolve("redis.default", grant), "10.1.1.1");
      assert.equal(asked(), ["redis.default.default.svc.test", "redis.default.svc.test"]);
      assert.is(await resolve("nope.default", grant), "name-unresolvable");
      assert.equal(asked(), ["nope.default.default.svc.test", "nope.default.svc.test", "nope.default"]);
      assert.is(await resolve("a.b.c", grant), "name-unresolvable");
      assert.equal(asked(), ["a.b.c", "a.b.c.default.svc.test", "a.b.c.svc.test"]);
      assert.is(await resolve("redis.", grant), "name-unresolvable");
      assert.equal(asked(), ["redis"]);
    },
  );
});

test("A server that has problems of its own is passed over", async () => {
  await withServer(
    () => ({ code: 2 }),
    async (broken) =>
      withServer(
        ({ name, type }) => (type === A ? { records: [[name, A, four(10, 0, 0, 2)]] } : {}),
        async (working) => {
          assert.is(await resolve("a.test", grantWith({ servers: [broken, working] })), "10.0.0.2");
          assert.is(await resolve("a.test", grantWith({ servers: [broken] })), "temporary-resolver-failure");
          assert.is(
            await resolve("a.test", grantWith({ servers: ["127.53.0.9", working] })),
            "10.0.0.2",
            "nobody listens at the first",
          );
        },
      ),
  );
});

test("Silence is waited for, then the next server is asked", async () => {
  await withServer(
    () => undefined,
    async (silent) =>
      withServer(
        ({ name, type }) => (type === A ? { records: [[name, A, four(10, 0, 0, 3)]] } : {}),
        async (working) => {
          const lines = "options timeout:1 attempts:1";
          assert.is(await resolve("a.test", grantWith({ servers: [silent, working], lines })), "10.0.0.3");
          assert.is(
            await resolve("a.test", grantWith({ servers: [silent], lines })),
            "temporary-resolver-failure",
          );
        },
      ),
  );
});

test("Who has the addresses of one family does not wait the whole time for the other's", async () => {
  await withServer(
    ({ name, type }) => (type === A ? { records: [[name, A, four(10, 0, 0, 5)]] } : undefined),
    async (address, server) => {
      assert.is(await resolve("a.test", grantWith({ servers: [address] })), "10.0.0.5");
      assert.is(
        server.questions.filter(({ type }) => type === AAAA).length,
        1,
        "it is not asked for a second time",
      );
    },
  );
});

test("An answer that was cut is asked for again over TCP", async () => {
  await withServer(
    ({ name, type, overTcp }) => {
      if (type !== A) return {};
      const records = Array.from({ length: 60 }, (_, index) => [name, A, four(10, 0, 1, index)] as const);
      return overTcp ? { records } : { truncated: true };
    },
    async (address, server) => {
      assert.is((await resolve("many.test", grantWith({ servers: [address] }))).split(" ").length, 60);
      assert.ok(server.questions.some(({ overTcp }) => overTcp));
      server.questions.length = 0;
      assert.is(
        (await resolve("many.test", grantWith({ servers: [address], lines: "options use-vc" }))).split(" ")
          .length,
        60,
      );
      assert.ok(server.questions.every(({ overTcp }) => overTcp));
    },
  );
});

test("What is not the answer to the question is not taken for it", async () => {
  await withServer(
    ({ name, type }, query) => {
      const wrongId = encodeAnswer(query, { records: [[name, A, four(6, 6, 6, 6)]] });
      wrongId.writeUInt16BE(query.readUInt16BE(0) ^ 1, 0);
      const otherName = Buffer.from(query);
      otherName[13] = (otherName[13] ?? 0) ^ 1;
      const forged = [
        wrongId,
        encodeAnswer(otherName, { records: [[name, A, four(6, 6, 6, 7)]] }),
        query,
        Buffer.of(1, 2, 3),
      ];
      return { forged, records: type === A ? [[name, A, four(10, 0, 0, 4)]] : [] };
    },
    async (address) => assert.is(await resolve("a.test", grantWith({ servers: [address] })), "10.0.0.4"),
  );
});

test("A name cannot lead where names may not lead", async () => {
  await withServer(
    ({ name, type }) => ({
      records:
        type === A
          ? [
              [name, A, four(127, 0, 0, 1)],
              [name, A, four(169, 254, 169, 254)],
            ]
          : [],
    }),
    async (address) => {
      const grant = grantWith({ servers: [address], outbound: ["rebind.test"] });
      assert.is(await resolve("rebind.test", grant), "access-denied");
      assert.not(rulesOf(grant).allowsConnect("tcp", four(127, 0, 0, 1), 80));
    },
  );
});

test("The hosts file comes first, and localhost is known without any", async () => {
  const hosts = "127.0.0.1 localhost\n10.0.0.5 db.internal db # the database\nfd00::5 db\nnonsense\n";
  const grant = grantWith({ hosts, outbound: ["db", "localhost", "app.localhost", "gone"] });
  assert.is((await resolve("DB", grant)).split(" ").sort().join(" "), "10.0.0.5 fd00::5");
  assert.is(await resolve("localhost", grant), "127.0.0.1");
  const both = (await resolve("app.localhost", grant)).split(" ").sort();
  assert.equal(both, ["127.0.0.1", "::1"]);
  assert.is(await resolve("gone", grant), "permanent-resolver-failure", "there is nobody to ask");
});

test("Without resolver files there is nobody to ask", async () => {
  assert.is(await resolve("example.com", { outbound: ["*"], inbound: [] }), "permanent-resolver-failure");
});

test("resolv.conf is read as the resolver of glibc reads it", () => {
  const text = `# comment\n; another\nnameserver 10.96.0.10\nnameserver fe80::1%3\nnameserver bogus\nnameserver 8.8.8.8\nnameserver 9.9.9.9
domain old.test\nsearch a.test B.test .\noptions ndots:5 timeout:0 attempts:99 rotate\noptions ndots:99 use-vc unknown:1`;
  const config = parseResolvConf(text);
  assert.equal(
    config.servers.map(({ address, port, scopeId }) => [formatAddress(address), port, scopeId]),
    [
      ["10.96.0.10", 53, undefined],
      ["fe80::1", 53, 3],
      ["8.8.8.8", 53, undefined],
    ],
  );
  assert.equal(config.search, ["a.test", "b.test"]);
  const { ndots, timeoutMs, attempts, rotate, useTcp } = config;
  assert.equal(
    { ndots, timeoutMs, attempts, rotate, useTcp },
    { ndots: 15, timeoutMs: 1000, attempts: 5, rotate: true, useTcp: true },
  );
  assert.equal(parseResolvConf("").servers, []);
});

test("A hosts file has several lines for one name", () => {
  assert.is(parseHosts("1.2.3.4 a b\n::1 a\n").get("a")?.length, 2);
});

test("No bytes of a server make the reader fail or go round", () => {
  const query = encodeQuery(7, "a.test", A);
  const good = encodeAnswer(Buffer.from(query), {
    records: [
      ["a.test", A, four(1, 2, 3, 4)],
      ["a.test", CNAME, encodeName("b.test")],
    ],
  });
  assert.equal(decodeResponse(good, query, "a.test")?.addresses.map(formatAddress), ["1.2.3.4"]);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 600 }),
      (bytes) => decodeResponse(bytes, query, "a.test") === undefined || bytes.length >= 24,
    ),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }),
      fc.nat(good.length),
      (changes, length) => {
        const broken = Uint8Array.from(good);
        for (const [at, byte] of changes) broken[at] = byte;
        decodeResponse(broken.subarray(0, length), query, "a.test");
        return true;
      },
    ),
  );
});

test.run();
