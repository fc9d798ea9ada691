import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import { needsOf } from "../../src/grant/needs.ts";
import { readModuleInterfaces } from "../../src/image/module-interfaces.ts";
import { rehearsalModule } from "../../src/zygote/rehearsal/module.ts";
import { compileC } from "../wasm-host/wasi/p1/compile-c.ts";

const test = suite("imports and exports of a module");

/** Imports of every kind: a function, a table, a memory with a maximum, a global; exports of each. */
const everyKind = Uint8Array.from([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 4, 1, 0x60, 0, 0],
  ...[2, 32, 4],
  ...[1, 0x61, 1, 0x66, 0, 0],
  ...[1, 0x61, 1, 0x74, 1, 0x70, 1, 1, 0x80, 1],
  ...[1, 0x61, 1, 0x6d, 2, 1, 1, 2],
  ...[1, 0x61, 1, 0x67, 3, 0x7f, 0],
  ...[7, 17, 4, 1, 0x66, 0, 0, 1, 0x74, 1, 0, 1, 0x6d, 2, 0, 1, 0x67, 3, 0],
]);

const ofEngine = (bytes: Uint8Array) => {
  const module = new WebAssembly.Module(Uint8Array.from(bytes));
  return { imports: WebAssembly.Module.imports(module), exports: WebAssembly.Module.exports(module) };
};

test("are what the engine says they are", () => {
  const compiled = readFileSync(compileC('#include <stdio.h>\nint main(void) { return puts("x") < 0; }'));
  for (const bytes of [rehearsalModule, everyKind, compiled])
    assert.equal(readModuleInterfaces(bytes), ofEngine(bytes));
});

test("a module that is cut off, or changed, is refused or read, and never loops", () => {
  void fc.assert(
    fc.property(fc.nat(everyKind.length - 1), fc.nat(255), (at, byte) => {
      const changed = Uint8Array.from(everyKind);
      changed[at] = byte;
      for (const bytes of [changed, everyKind.subarray(0, at)]) {
        try {
          readModuleInterfaces(bytes);
        } catch (error) {
          assert.ok(error instanceof TandemError, String(error));
        }
      }
    }),
  );
  assert.throws(() => readModuleInterfaces(everyKind.subarray(0, 20)), /module is truncated/);
});

test("tell what of a grant could be of use", () => {
  const parts = (...imports: string[]) => needsOf(imports).map(({ part }) => part);
  assert.equal(parts("wasi_snapshot_preview1.fd_write"), []);
  assert.equal(parts("wasi_snapshot_preview1.path_open", "wasi_unstable.environ_get"), ["preopens", "env"]);
  assert.equal(
    parts("wasi:sockets/tcp@0.2.0", "wasi:sockets/ip-name-lookup@0.3.0", "wasi:http/client@0.3.0"),
    [...["network: sockets", "network: look-ups", "network: requests"]],
  );
});

test.run();
