import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { NetworkGrant } from "../../wasm-host/grant.ts";
import { errorCodeOf } from "../../wasm-host/http/error-code.ts";
import { OutgoingAccess, outgoingAccess } from "../../wasm-host/http/outgoing-access.ts";
import { openRequest, requestTarget } from "../../wasm-host/http/outgoing-request.ts";
import { DnsServer } from "./network/dns-server.ts";

const test = suite("outgoing http");
const A = 1;
const resolver = {
  resolvConf: "nameserver 127.53.3.1\noptions timeout:1 attempts:1",
  hosts: "127.0.0.1 here\n",
};

let server: Server;
let dns: DnsServer;
let port = 0;
let connections = 0;

test.before(async () => {
  server = createServer((request, response) => response.end(`hello ${request.headers.host}`)).listen(
    0,
    "127.0.0.1",
  );
  server.on("connection", () => connections++);
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
  const zone: Readonly<Record<string, readonly (readonly number[])[]>> = {
    "rebind.test": [[127, 0, 0, 1]],
    "metadata.test": [[169, 254, 169, 254]],
    "nobody.test": [],
  };
  dns = new DnsServer(({ name, type }) => {
    const addresses = zone[name];
    if (addresses === undefined) return undefined;
    return {
      records: type === A ? addresses.map((bytes) => [name, A, Uint8Array.from(bytes)] as const) : [],
    };
  });
  await dns.listen("127.53.3.1");
});

test.after(() => {
  server.close();
  server.closeAllConnections();
  dns.close();
});

/** "denied" before anything happens, the body, or the error code's tag. */
async function fetchFrom(authority: string, grant: Partial<NetworkGrant>): Promise<string> {
  const access = new OutgoingAccess({ outbound: [], inbound: [], resolver, ...grant });
  const target = requestTarget({
    method: { tag: "get" },
    scheme: { tag: "HTTP" },
    authority,
    pathWithQuery: "/",
  });
  if (target.tag === "err") return target.val.tag;
  if (!access.allows(target.val.hostname, target.val.port)) return "denied";
  const message = openRequest(access, target.val, {
    method: { tag: "get" },
    headers: [],
    timeouts: undefined,
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  message.on("response", async (response) => resolve(Buffer.concat(await response.toArray()).toString()));
  message.on("error", (error) => resolve(errorCodeOf(error).tag));
  message.end();
  return await promise;
}

test("Hosts are granted by name and port", async () => {
  assert.is(
    await fetchFrom(`here:${port}`, { outbound: [`here:${port}`, "127.0.0.1"] }),
    `hello here:${port}`,
  );
  assert.is(await fetchFrom(`HERE.:${port}`, { outbound: ["here", "127.0.0.1"] }), `hello here.:${port}`);
  assert.is(await fetchFrom(`here:${port}`, { outbound: [`here:${port + 1}`] }), "denied");
  assert.is(await fetchFrom(`there:${port}`, { outbound: ["here"] }), "denied");
  assert.is(await fetchFrom(`here:${port}`, {}), "denied");
});

test("A name cannot lead to this machine or to metadata, and nobody is connected to", async () => {
  const before = connections;
  assert.is(
    await fetchFrom(`rebind.test:${port}`, { outbound: ["rebind.test"] }),
    "destination-IP-prohibited",
  );
  assert.is(await fetchFrom("metadata.test", { outbound: ["*"] }), "destination-IP-prohibited");
  assert.is(connections, before);
  assert.is(
    await fetchFrom(`rebind.test:${port}`, { outbound: ["rebind.test", `127.0.0.1:${port}`] }),
    `hello rebind.test:${port}`,
  );
});

test("An address is the same in every spelling", async () => {
  for (const spelling of ["127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]"]) {
    assert.is(
      await fetchFrom(`${spelling}:${port}`, { outbound: ["10.0.0.0/8", "localhost", "*.test"] }),
      "denied",
      spelling,
    );
    assert.match(
      await fetchFrom(`${spelling}:${port}`, { outbound: [`127.0.0.0/8:${port}`] }),
      /^hello /,
      spelling,
    );
  }
  for (const spelling of ["169.254.169.254", "0xa9fea9fe", "[::ffff:a9fe:a9fe]", "[fe80::1]"])
    assert.is(await fetchFrom(spelling, { outbound: ["*"] }), "denied", spelling);
});

test("localhost is this machine for whom it is granted", async () => {
  assert.is(await fetchFrom(`localhost:${port}`, { outbound: ["localhost"] }), `hello localhost:${port}`);
});

test("What a look-up comes to is an error of the request", async () => {
  assert.is(await fetchFrom("nobody.test", { outbound: ["*"] }), "DNS-error");
  assert.is(await fetchFrom("silent.test", { outbound: ["*"] }), "DNS-timeout");
  assert.is(
    await fetchFrom("any.test", { outbound: ["*"], resolver: { resolvConf: "", hosts: "" } }),
    "DNS-error",
  );
});

test("A grant of other protocols is none for http", async () => {
  assert.is(await fetchFrom(`here:${port}`, { outbound: ["*"], protocols: ["tcp", "dns"] }), "denied");
  assert.is(await fetchFrom(`here:${port}`, { outbound: ["*"], protocols: ["http"] }), `hello here:${port}`);
});

test("Instances of one grant share their connections, grants do not", () => {
  const grant: NetworkGrant = { outbound: ["*"], inbound: [] };
  assert.is(outgoingAccess(grant), outgoingAccess(grant));
  assert.is.not(outgoingAccess(grant), outgoingAccess({ ...grant }));
  assert.is(outgoingAccess(undefined), undefined);
});

test.run();
