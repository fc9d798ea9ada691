// biome-ignore-all lint/suspicious/noConsole: it is a program, and that is its output
// What a command in JavaScript does: arguments, environment, files by the host's own interfaces, and what the language itself has.
import { getArguments, getEnvironment } from "wasi:cli/environment@0.2.10";
import { getDirectories } from "wasi:filesystem/preopens@0.2.10";

const text = new TextDecoder();

function read(directory, path) {
  const file = directory.openAt({ symlinkFollow: true }, path, {}, { read: true });
  const [bytes, atEnd] = file.read(1_000_000n, 0n);
  if (!atEnd && bytes.length === 0) throw new Error(`${path}: nothing to read`);
  return text.decode(bytes);
}

function write(directory, path, content) {
  const file = directory.openAt({}, path, { create: true, exclusive: true }, { write: true });
  const written = file.write(new TextEncoder().encode(content), 0n);
  if (written !== BigInt(content.length)) throw new Error(`${path}: ${written} bytes`);
  return file.stat().size;
}

export const run = {
  run() {
    const [, ...args] = getArguments();
    console.log(args.join("|"), JSON.stringify(getEnvironment()));
    const [[work, path]] = getDirectories();
    console.log(path, write(work, "made.txt", "written by JavaScript\n"), read(work, "made.txt").trim());
    const entries = [];
    const list = work.readDirectory();
    for (let entry = list.readDirectoryEntry(); entry !== undefined; entry = list.readDirectoryEntry())
      entries.push(`${entry.type} ${entry.name}`);
    console.log(entries.sort().join(", "));
    try {
      read(work, "../../etc/passwd");
      console.log("read what nobody granted");
    } catch (error) {
      console.log("refused:", error.payload ?? error.message);
    }
    const sorted = Array.from({ length: 50_000 }, (_, i) => (i * 7919) % 50_021).sort((a, b) => a - b);
    console.log(sorted[25_000], "2024-05-06".replace(/(\d+)-(\d+)-(\d+)/u, "$3.$2.$1"), 2n ** 100n);
    if (args.includes("fail")) throw { result: "failed" };
  },
};
