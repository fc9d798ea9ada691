import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseSpec } from "../../src/bundle/spec.ts";
import { toWasmConfig } from "../../src/executor/wasm-config.ts";
import type { WasmConfig } from "../../wasm-host/config.ts";
import { wasmRequest, wasmSelection } from "../docs/pictures.ts";

const test = suite("what a wasm process is told");

function configWith(mounts: readonly object[], env: readonly string[] = []): WasmConfig {
  const root = { path: "rootfs" };
  const process = { cwd: "/", args: ["/app.wasm"], env };
  const spec = parseSpec(JSON.stringify({ ociVersion: "1.3.0", root, process, mounts }));
  return toWasmConfig(wasmRequest(spec), wasmSelection, undefined);
}

test("Names are looked up in what config.json mounts, or in the machine's own files, never in the image's", () => {
  assert.equal(configWith([]).resolver, { resolvConf: "/etc/resolv.conf", hosts: "/etc/hosts" });
  const bind = (destination: string, source: string) => ({
    destination,
    source,
    type: "bind",
    options: ["rbind", "ro"],
  });
  const mounts = [
    bind("/etc/resolv.conf", "/run/first"),
    bind("/etc/../etc/resolv.conf", "/run/sandbox/resolv.conf"),
    bind("/etc/hosts.d", "/run/other"),
    { destination: "/etc/hosts", type: "tmpfs", source: "tmpfs" },
  ];
  assert.equal(configWith(mounts).resolver, { resolvConf: "/run/sandbox/resolv.conf", hosts: "/etc/hosts" });
});

test("TANDEM_LOG of the container says how much its process says", () => {
  assert.is(configWith([]).log, undefined);
  assert.is(configWith([], ["TANDEM_LOG=off"]).log, undefined);
  assert.is(configWith([], ["A=b", "TANDEM_LOG=debug"]).log, "debug");
  assert.throws(() => configWith([], ["TANDEM_LOG=loud"]), /TANDEM_LOG=loud: is none of off, info, debug/);
});

test.run();
