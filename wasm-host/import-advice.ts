/**
 * What to do about an import that nobody grants: what a module was made for can be told by whom it asks. "" where nothing better is
 * known than the import's name.
 */
export function importAdvice(module: string, name: string): string {
  const found = advice.find(([pattern]) => pattern.test(`${module}.${name}`));
  return found === undefined ? "" : `: ${found[1]}`;
}

const advice: readonly (readonly [pattern: RegExp, text: string])[] = [
  [/^wasi_(snapshot_preview1|unstable)\./, "WASI 0.1 has no such function"],
  [/^wasi\.thread_spawn$/, "an old name of thread-spawn; build it with a newer wasi-sdk"],
  [/^wasi_ephemeral_nn\.|^wasi:nn\//, "wasi-nn is not there"],
  [/^wasi_experimental_http\./, "build it for wasi:http, as a component"],
  [
    /^(__wbindgen_\w+|wbg)\./,
    "made by wasm-bindgen for browsers; build it for wasm32-wasip1 or wasm32-wasip2",
  ],
  [/^(go|gojs)\./, "made by Go for browsers; build it with GOOS=wasip1"],
  [
    /^(env\.(emscripten_|invoke_|_?_?cxa_)|a\.)/,
    "made by Emscripten for JavaScript; link it with -sSTANDALONE_WASM or use wasi-sdk",
  ],
  [/^env\.abort$/, "made by AssemblyScript for JavaScript; build it with @assemblyscript/wasi-shim"],
  [/^(wasm:js-string|js-string|wasm:text-encoder)\b/, "a builtin of JavaScript hosts; build it for WASI"],
  [/^env\.memory$/, "a memory is given to modules with shared ones only; leave out --import-memory"],
  [
    /^env\.__(stack_pointer|memory_base|table_base|indirect_function_table)$/,
    "a library for dynamic linking; link it statically",
  ],
  [/^env\./, "left undefined when it was linked; link what defines it"],
];
