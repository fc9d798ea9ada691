/**
 * Builds the guests of the tests: node build.ts <kind of guest> <output>; "wat": from the text on stdin. A process of its own,
 * because jco's tools import preview2-shim, which starts a worker thread.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { componentEmbed, componentNew, parse } from "@bytecodealliance/jco-transpile/wasm-tools";
import { _addPreopen } from "@bytecodealliance/preview2-shim/filesystem";

const here = fileURLToPath(new URL(".", import.meta.url));
const jco = fileURLToPath(new URL("../../../node_modules/@bytecodealliance/jco/lib/", import.meta.url));

async function build(kind: string, scratch: string): Promise<Uint8Array> {
  switch (kind) {
    case "command":
    case "limits": {
      const module = compile(`${kind}.c`, scratch, ["--target=wasm32-wasi", "-O2"]);
      const adapter = readFileSync(join(jco, "wasi_snapshot_preview1.command.wasm"));
      return await componentNew(module, [["wasi_snapshot_preview1", adapter]]);
    }
    case "http":
      return await bare(scratch, { source: "http.c", wit: "world.wit", wasi: ["0.2.12"], world: "http" });
    case "command03":
      return await bare(scratch, {
        source: "wasi03.c",
        wit: "wasi03.wit",
        wasi: ["0.2.12", "0.3.0"],
        world: "command",
      });
    case "service03":
      return await bare(scratch, {
        source: "service03.c",
        wit: "wasi03.wit",
        wasi: ["0.2.12", "0.3.0"],
        world: "service",
      });
    case "invoke":
      return await bare(scratch, { source: "invoke.c", wit: "invoke.wit", wasi: [], world: "shop" });
    case "wat":
      return await parse(readFileSync(0, "utf8"));
    case "foreign":
      return await parse('(component (import "acme:anvil/drop@1.0.0" (instance (export "now" (func)))))');
    default:
      throw new Error(`no such guest: ${kind}`);
  }
}

interface Bare {
  readonly source: string;
  readonly wit: string;
  /** Versions of the WASI packages that the world is made of. */
  readonly wasi: readonly string[];
  readonly world: string;
}

/** A component of a C program without libc, whose imports and exports are named as the canonical ABI names them. */
async function bare(scratch: string, { source, wit, wasi, world }: Bare): Promise<Uint8Array> {
  const binary = compile(source, scratch, ["--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry"]);
  const witPath = join(scratch, "wit");
  mkdirSync(witPath);
  cpSync(join(here, wit), join(witPath, wit));
  for (const version of wasi) {
    const packages = join(jco, "wit/builtin", version);
    for (const name of readdirSync(packages))
      cpSync(join(packages, name), join(witPath, "deps", `${name}-${version}`), { recursive: true });
  }
  // jco's tools read WIT by a preopened root; the shim's types are those of its build for browsers
  (_addPreopen as unknown as (guest: string, host: string) => void)("/", "/");
  return await componentNew(await componentEmbed({ binary, witPath, world }), []);
}

function compile(source: string, scratch: string, flags: readonly string[]): Uint8Array {
  const output = join(scratch, "module.wasm");
  // Without npm's PATH: clang hands its work to a wasm-opt that it finds, and that one drops the names.
  execFileSync("clang-14", [...flags, join(here, source), "-o", output], {
    env: { PATH: "/usr/bin:/bin" },
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
