import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { NetworkGrant } from "../../../wasm-host/grant.ts";
import { type NetworkUse, networkNeeds } from "../../../wasm-host/network/kernel-needs.ts";

const test = suite("what the kernel has to let through");

function needs(use: Partial<NetworkUse>) {
  return networkNeeds({ network: undefined, listeners: 0, served: undefined, ...use });
}

function ports(outbound: readonly string[], inbound: readonly string[], use: Partial<NetworkUse> = {}) {
  const { bind, connect } = needs({ network: { outbound, inbound }, ...use }).tcpPorts;
  return { bind, connect };
}

test("Sockets are of the grant, of an http component's port, or given", () => {
  assert.equal(needs({}), { sockets: "none", tcpPorts: { bind: [], connect: [] } });
  assert.equal(needs({ listeners: 1 }), { sockets: "accept", tcpPorts: { bind: [], connect: [] } });
  assert.equal(needs({ served: { listener: 0, announce: "127.0.0.1:80" }, listeners: 1 }), {
    sockets: "accept",
    tcpPorts: { bind: [], connect: [] },
  });
  assert.equal(needs({ served: { port: 8080 } }), {
    sockets: "listen",
    tcpPorts: { bind: [8080], connect: [] },
  });
});

test("Of a network there is what its rules take: nobody is let in without a rule, nothing is looked up without a name", () => {
  const use = (
    outbound: readonly string[],
    more: Partial<NetworkGrant> = {},
    rest: Partial<NetworkUse> = {},
  ) => needs({ network: { outbound, inbound: [], ...more }, ...rest }).sockets;
  const address = ["10.0.0.1:5432"];
  assert.is(use(address), "connect");
  assert.is(use(address, { protocols: ["tcp"] }), "stream");
  assert.is(use(address, { protocols: ["tcp", "http", "dns"] }), "stream");
  assert.is(use(["a.test:443"], { protocols: ["http"] }), "connect");
  assert.is(use(["tcp:*"]), "stream");
  assert.is(use(["tcp+dns:*"]), "connect");
  assert.is(use(["tcp:10.0.0.1:80", "http:10.0.0.2"]), "stream");
  assert.is(use([], { inbound: ["127.0.0.1:80"], protocols: ["tcp"] }), "network");
  assert.is(use(address, { protocols: ["tcp"] }, { served: { port: 8080 } }), "network");
  assert.is(use(address, { protocols: ["tcp"] }, { listeners: 1 }), "network");
});

test("Ports are those of all rules, and DNS's for who may look names up", () => {
  assert.equal(ports([], []), { bind: [0], connect: [] });
  assert.equal(ports(["10.0.0.0/8:5432"], []), { bind: [0], connect: [5432] });
  assert.equal(ports(["a.test:443", "10.0.0.1:80-82"], ["*:9000"]), {
    bind: [0, 9000],
    connect: [53, 80, 81, 82, 443],
  });
  assert.equal(ports(["a.test:443"], [], { served: { port: 8080 } }), {
    bind: [0, 8080],
    connect: [53, 443],
  });
});

test("Landlock's ports are those of TCP", () => {
  assert.equal(ports(["dns:*", "tcp:10.0.0.1:80", "udp:10.0.0.2:81", "http:10.0.0.3:82"], ["udp:*:90"]), {
    bind: [0],
    connect: [53, 80, 82],
  });
  assert.equal(ports(["tcp:10.0.0.1:80"], ["tcp:*:90"]), { bind: [0, 90], connect: [80] });
});

test("Who has too many ports for a list has all", () => {
  assert.equal(ports(["a.test"], ["*:0-65535"]), { bind: undefined, connect: undefined });
  assert.equal(ports(["10.0.0.1:1-256"], [], { served: { port: 8080 } }).connect?.length, 256);
  assert.is(ports(["10.0.0.1:1-257"], []).connect, undefined);
  assert.is(ports(["10.0.0.1:1-200", "10.0.0.1:300-400"], []).connect, undefined);
});

test("A rule that is wrong is named", () => {
  assert.throws(() => ports(["host:0"], []), /^network grant, outbound rule host:0: /m);
});

test.run();
