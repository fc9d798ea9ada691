import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Descriptor } from "../../wasm-host/wasi/p2/descriptor.ts";
import { createNativeFiles } from "../../wasm-host/wasi/p2/native-files.ts";
import { blocking } from "../../wasm-host/wasi/p2/waiting.ts";

const O_PATH = 0o10000000;
const test = suite("p2-descriptor");

/** A directory with one file, as a preopen that may be changed, and as one that may not. */
class Directory {
  readonly path = mkdtempSync(join(tmpdir(), "tandem-p2-"));
  readonly #fd = openSync(this.path, O_PATH);

  constructor() {
    writeFileSync(join(this.path, "file"), "text");
  }

  preopen(mayChange: boolean): Descriptor {
    const host = { files: createNativeFiles(), waiter: blocking };
    return new Descriptor(this.#fd, {
      flags: { read: true, mutateDirectory: mayChange },
      mayChange,
      owned: false,
      host,
    });
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    rmSync(this.path, { recursive: true });
  }
}

/** What an operation gave, or the code of its error. */
function outcome<T>(result: { readonly tag: "ok" | "err"; readonly val: T | string }): T | string {
  return result.val;
}

function opened(directory: Descriptor, path: string, ...[open, flags]: [object, object]): Descriptor {
  const result = directory.openAt({}, path, open, flags);
  if (result.tag === "err") throw new Error(result.val);
  return result.val;
}

test("who asks for neither reading nor writing reads", () => {
  using directory = new Directory();
  using file = opened(directory.preopen(true), "file", {}, {});
  assert.equal(file.getFlags().val, { read: true, write: false, mutateDirectory: false });
  assert.equal(outcome(file.read(99n, 0n)), [Buffer.from("text"), false]);
  assert.is(outcome(file.write(new Uint8Array(1), 0n)), "bad-descriptor");
  using beneath = opened(directory.preopen(true), ".", { directory: true }, {});
  assert.is(beneath.readDirectory().tag, "ok");
  assert.is(outcome(beneath.readViaStream(0n)), "is-directory");
});

test("to create and to truncate is to write", () => {
  using directory = new Directory();
  using made = opened(directory.preopen(true), "new", { create: true }, {});
  assert.equal(made.getFlags().val, { read: true, write: true, mutateDirectory: false });
  assert.is(outcome(made.write(Buffer.from("new"), 0n)), 3n);
  using cut = opened(directory.preopen(true), "file", { truncate: true }, {});
  assert.is(cut.stat().tag, "ok");
  assert.is(readFileSync(join(directory.path, "file"), "utf8"), "");
});

test("the size of what is read only cannot be set, nor that of a directory", () => {
  using directory = new Directory();
  using file = opened(directory.preopen(true), "file", {}, { read: true });
  assert.is(outcome(file.setSize(1n)), "invalid");
  assert.is(outcome(directory.preopen(true).setSize(1n)), "bad-descriptor");
  using written = opened(directory.preopen(true), "file", {}, { write: true });
  assert.is(written.setSize(2n).tag, "ok");
  assert.is(readFileSync(join(directory.path, "file"), "utf8"), "te");
});

test("below a read-only preopen nothing is changed, whatever a descriptor was opened with", () => {
  using directory = new Directory();
  const preopen = directory.preopen(false);
  for (const flags of [{ write: true }, { mutateDirectory: true }])
    assert.equal(preopen.openAt({}, "file", {}, flags), { tag: "err", val: "read-only" });
  for (const open of [{ create: true }, { truncate: true }])
    assert.equal(preopen.openAt({}, "file", open, { read: true }), { tag: "err", val: "read-only" });
  using file = opened(preopen, "file", {}, { read: true });
  const time = { tag: "now" } as const;
  assert.is(outcome(file.setTimes(time, time)), "read-only");
  using beneath = opened(preopen, ".", { directory: true }, { read: true });
  assert.is(outcome(beneath.unlinkFileAt("file")), "read-only");
  assert.is(readFileSync(join(directory.path, "file"), "utf8"), "text");
});

test.run();
