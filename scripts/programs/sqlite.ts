import { existsSync } from "node:fs";
import { runTool } from "../../examples/tools.ts";
import { compile, ownFile } from "./compile.ts";
import { debianSource } from "./debian-source.ts";

/** SQLite and its shell. Its one file, sqlite3.c, is put together by its own makefile, with Tcl. */
export async function makeSqlite(): Promise<string> {
  const { directory, version } = debianSource("sqlite3", "bookworm");
  const emulated = ["signal", "process-clocks", "getpid"];
  return await compile({
    name: "sqlite3.wasm",
    from: `sqlite3 ${version}`,
    own: ["sqlite/wasi.h", "sqlite/include/pwd.h"],
    prepare: async () => {
      if (existsSync(`${directory}/shell.c`)) return;
      await runTool("./configure", ["--disable-tcl", "--disable-readline"], directory);
      await runTool("make", ["sqlite3.c", "shell.c"], directory);
    },
    arguments: [
      ...["-Os", "-I", ownFile("sqlite/include"), "-include", ownFile("sqlite/wasi.h"), "-I", directory],
      ...emulated.map((what) => `-D_WASI_EMULATED_${what.toUpperCase().replace("-", "_")}`),
      ...["-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_WAL", "-DSQLITE_OMIT_LOAD_EXTENSION"],
      ...["-DSQLITE_OMIT_POPEN", "-DSQLITE_NOHAVE_SYSTEM"],
      ...["-DSQLITE_ENABLE_FTS5", "-DSQLITE_ENABLE_RTREE", "-DSQLITE_ENABLE_MATH_FUNCTIONS"],
      ...[`${directory}/sqlite3.c`, `${directory}/shell.c`],
      ...emulated.map((what) => `-lwasi-emulated-${what}`),
    ],
  });
}
