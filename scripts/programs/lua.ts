import { globSync } from "node:fs";
import { basename } from "node:path";
import { compile, ownFile } from "./compile.ts";
import { debianSource } from "./debian-source.ts";

/** The interpreter of Lua 5.4, as C++: its errors are WebAssembly exceptions. */
export async function makeLua(): Promise<string> {
  const { directory, version } = debianSource("lua5.4", "bookworm");
  const sources = globSync(`${directory}/src/l*.c`).filter((file) => basename(file) !== "luac.c");
  return await compile({
    name: "lua.wasm",
    from: `lua5.4 ${version}`,
    own: ["lua/wasi.h", "lua/include/setjmp.h", "lua/include/lua5.4-deb-multiarch.h", "lua/wasi.cc"],
    arguments: [
      ...["-O2", "-fwasm-exceptions", "-fno-rtti", "-nostdinc++", "-x", "c++"],
      ...["-I", ownFile("lua/include"), "-include", ownFile("lua/wasi.h")],
      ...["-D_WASI_EMULATED_SIGNAL", "-D_WASI_EMULATED_PROCESS_CLOCKS", "-DLUA_COMPAT_5_3"],
      ...sources.sort(),
      ownFile("lua/wasi.cc"),
      ...["-lwasi-emulated-signal", "-lwasi-emulated-process-clocks"],
    ],
  });
}
