import { execFileSync, spawn } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writeText } from "../../wasm-host/report.ts";

const test = suite("lines of the host's own");
const directory = mkdtempSync(join(tmpdir(), "tandem-report-"));
test.after(() => rmSync(directory, { recursive: true }));

/** A pipe that does not block and has no room, and how much is in it. */
function fullPipe(name: string): { readonly path: string; readonly fd: number; readonly length: number } {
  const path = join(directory, name);
  execFileSync("mkfifo", [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const chunk = Buffer.alloc(4096, ".");
  for (let length = 0; ; ) {
    try {
      length += writeSync(fd, chunk);
    } catch (error) {
      assert.is((error as NodeJS.ErrnoException).code, "EAGAIN");
      return { path, fd, length };
    }
  }
}

test("A full pipe that does not block is waited for while somebody reads", async () => {
  const { path, fd, length } = fullPipe("read");
  const line = "trap: unreachable\n";
  const reader = spawn("head", ["-c", String(length + line.length), path], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const read = text(reader.stdout);
  writeText(fd, line);
  assert.is(await read, ".".repeat(length) + line);
  closeSync(fd);
});

test("One that nobody reads holds up nobody for long", () => {
  const { fd } = fullPipe("unread");
  writeText(fd, "lost\n");
  closeSync(fd);
});

test("No stderr is no failure", () => {
  writeText(undefined, "nobody hears it\n");
});

test.run();
