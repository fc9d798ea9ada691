import { compile, ownFile } from "./compile.ts";
import { type DebianSource, debianSource } from "./debian-source.ts";

/** Bookworm has no QuickJS yet. */
export const quickjsSource = (): DebianSource => debianSource("quickjs", "trixie");

/** QuickJS with a shell of our own: scripts are run, `print` prints. */
export async function makeQuickjs(): Promise<string> {
  const { directory, version } = quickjsSource();
  const engine = ["quickjs", "libregexp", "libunicode", "cutils", "dtoa"];
  return await compile({
    name: "quickjs.wasm",
    from: `quickjs ${version}`,
    own: ["quickjs/main.c", "quickjs/include/setjmp.h"],
    arguments: [
      ...["-O2", "-I", ownFile("quickjs/include"), "-I", directory],
      // EMSCRIPTEN is its word for WebAssembly: no threads, no look at malloc's blocks; its look at the stack works all the same.
      ...["-D_GNU_SOURCE", "-DEMSCRIPTEN", "-DCONFIG_STACK_CHECK", `-DCONFIG_VERSION="${version}"`],
      "-Wl,-z,stack-size=1048576",
      ownFile("quickjs/main.c"),
      ...engine.map((name) => `${directory}/${name}.c`),
      "-lm",
    ],
  });
}
