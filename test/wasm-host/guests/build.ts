/**
 * Builds the guests of the tests: node build.ts command|http|foreign <output>. A process of its own, because jco's tools import
 * preview2-shim, which starts a worker thread.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { componentEmbed, componentNew, parse } from "@bytecodealliance/jco-transpile/wasm-tools";
import { _addPreopen } from "@bytecodealliance/preview2-shim/filesystem";

const here = fileURLToPath(new URL(".", import.meta.url));
const jco = fileURLToPath(new URL("../../../node_modules/@bytecodealliance/jco/lib/", import.meta.url));

async function build(kind: string, scratch: string): Promise<Uint8Array> {
  switch (kind) {
    case "command": {
      const module = compile("command.c", scratch, ["--target=wasm32-wasi", "-O2"]);
      const adapter = readFileSync(join(jco, "wasi_snapshot_preview1.command.wasm"));
      return await componentNew(module, [["wasi_snapshot_preview1", adapter]]);
    }
    case "http": {
      const binary = compile("http.c", scratch, ["--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry"]);
      const wit = join(scratch, "wit");
      mkdirSync(wit);
      cpSync(join(here, "world.wit"), join(wit, "world.wit"));
      cpSync(join(jco, "wit/builtin/0.2.12"), join(wit, "deps"), { recursive: true });
      // jco's tools read WIT by a preopened root; the shim's types are those of its build for browsers
      (_addPreopen as unknown as (guest: string, host: string) => void)("/", "/");
      return await componentNew(await componentEmbed({ binary, witPath: wit, world: "http" }), []);
    }
    case "foreign":
      return await parse('(component (import "acme:anvil/drop@1.0.0" (instance (export "now" (func)))))');
    default:
      throw new Error(`no such guest: ${kind}`);
  }
}

function compile(source: string, scratch: string, flags: readonly string[]): Uint8Array {
  const output = join(scratch, "module.wasm");
  execFileSync("clang-14", [...flags, join(here, source), "-o", output], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  return readFileSync(output);
}

const [kind = "", output = ""] = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), "tandem-guest-"));
try {
  writeFileSync(output, await build(kind, scratch));
} finally {
  rmSync(scratch, { recursive: true });
}
process.exit();
