import { compile } from "./compile.ts";
import { debianSource } from "./debian-source.ts";

/** A program of zlib's own, in C, with the library in it: `minigzip` compresses, `example` tests all of it. */
export async function makeZlib(program: "example" | "minigzip"): Promise<string> {
  const { directory, version } = debianSource("zlib", "bookworm");
  const library = ["adler32", "compress", "crc32", "deflate", "gzclose", "gzlib", "gzread", "gzwrite"];
  const inflating = ["infback", "inffast", "inflate", "inftrees", "trees", "uncompr", "zutil"];
  return await compile({
    name: `zlib-${program}.wasm`,
    from: `zlib ${version}`,
    arguments: [
      ...["-O2", "-I", directory, "-DHAVE_UNISTD_H"],
      `${directory}/test/${program}.c`,
      ...[...library, ...inflating].map((name) => `${directory}/${name}.c`),
    ],
  });
}
