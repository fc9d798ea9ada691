import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { componentEmbed, componentNew } from "@bytecodealliance/jco-transpile/wasm-tools";
import { _addPreopen } from "@bytecodealliance/preview2-shim/filesystem";
import { buildComponent } from "../../examples/http-function/build.ts";
import { root } from "../command-line.ts";

/** An http component that says hello. */
export interface HttpProgram {
  readonly name: string;
  readonly about: string;
  readonly path: string;
}

const guests = fileURLToPath(new URL("guests/", import.meta.url));
const wit = join(root, "node_modules/@bytecodealliance/jco/lib/wit/builtin/0.2.12");

/** Builds all of them into a directory. */
export async function buildHttpPrograms(directory: string): Promise<HttpProgram[]> {
  const keep = (name: string, about: string, bytes: Uint8Array): HttpProgram => {
    const path = join(directory, `${name}.wasm`);
    writeFileSync(path, bytes);
    return { name, about: `${about}, ${(bytes.length / 1024).toFixed(0)} KB`, path };
  };
  return [
    keep("c", "guests/hello.c, without libc", await buildHello(directory)),
    keep(
      "javascript",
      "examples/http-function by componentize-js",
      await buildComponent(join(root, ".cache/examples")),
    ),
  ];
}

async function buildHello(directory: string): Promise<Uint8Array> {
  const output = join(directory, "hello.wasm");
  const flags = ["--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all"];
  // Without npm's PATH: clang hands its work to a wasm-opt that it finds there.
  execFileSync("clang-14", [...flags, join(guests, "hello.c"), "-o", output], {
    env: { PATH: "/usr/bin:/bin" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const witPath = join(directory, "wit");
  mkdirSync(witPath);
  cpSync(join(guests, "world.wit"), join(witPath, "world.wit"));
  cpSync(wit, join(witPath, "deps"), { recursive: true });
  // jco's tools read WIT by a preopened root; the shim's types are those of its build for browsers.
  (_addPreopen as unknown as (guest: string, host: string) => void)("/", "/");
  const binary = readFileSync(output);
  return await componentNew(await componentEmbed({ binary, witPath, world: "http" }), []);
}
