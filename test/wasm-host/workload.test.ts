import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SocketUse } from "../../src/isolation/wasm-sockets.ts";
import type { GrantPlan, WasmConfig } from "../../wasm-host/config.ts";
import { prepareWorkload } from "../../wasm-host/workload.ts";

const test = suite("workload");
const directory = mkdtempSync(join(tmpdir(), "tandem-workload-"));
test.after(() => rmSync(directory, { recursive: true }));

/** (module (memory (export "memory") 1) (func (export "_start"))) */
const header = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1];
const names = [7, 19, 2, 6, ...Buffer.from("memory"), 2, 0, 6, ...Buffer.from("_start"), 0, 0];
writeFileSync(join(directory, "module.wasm"), Uint8Array.from([...header, ...names, 10, 4, 1, 2, 0, 11]));

/** What the process asks of the kernel for its sockets. */
function useOf(grant: Partial<GrantPlan>, listeners = 0): SocketUse | undefined {
  const config: WasmConfig = {
    id: "workload",
    workload: { form: "module", file: [directory, "module.wasm"], export: undefined },
    grant: { args: [], env: [], preopens: [], listeners, ...grant },
    listeners,
    isolation: {
      cgroupFiles: [],
      oomScoreAdj: undefined,
      rlimits: [],
      joinNamespaces: [],
      unshare: 0,
      hostname: undefined,
      umask: 0o022,
      user: undefined,
    },
    http: { port: 8080 },
    resolver: { resolvConf: join(directory, "resolv.conf"), hosts: join(directory, "hosts") },
  };
  let use: SocketUse | undefined;
  prepareWorkload(config, {
    stdio: { stdin: 0, stdout: 1, stderr: 2 },
    listeners: new Array<number>(listeners).fill(-1),
    threads: { program: { text: "" }, statusPipe: undefined },
    enterIsolation: ({ sockets }) => {
      use = sockets;
      return [];
    },
  });
  return use;
}

test("The kernel lets through as much of sockets as the grant has", () => {
  assert.is(useOf({}), "none");
  assert.is(useOf({}, 1), "accept");
  assert.is(useOf({ network: { outbound: [], inbound: [] } }), "stream");
  assert.is(
    useOf({ network: { outbound: ["api.example:443"], inbound: [] } }),
    "connect",
    "names are asked for",
  );
  assert.is(useOf({ network: { outbound: [], inbound: ["*:80"] } }), "network");
});

test("A rule of the network that is wrong is found before the wall is up, whatever the guest imports", () => {
  assert.throws(
    () => useOf({ network: { outbound: ["host:99999"], inbound: [] } }),
    /^network grant, outbound rule host:99999: has no port/m,
  );
});

test.run();
