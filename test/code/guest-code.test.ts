import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodeEngine } from "../../src/code/code-engine.ts";
import { sha256 } from "../../src/code/code-entry.ts";
import { CodeStore } from "../../src/code/code-store.ts";
import { parseStates } from "../../src/code/format.ts";
import { GuestCode } from "../../src/code/guest-code.ts";
import { MAX_MODULE_BYTES, WHOLE_MODULE_BYTES } from "../../src/code/policy.ts";
import { decodeFunctions } from "../../src/code/ran-functions.ts";
import { native } from "../../src/native.ts";
import { call, loop, makeModule, nop } from "./modules.ts";

interface Context {
  directory: string;
  store: CodeStore;
  guest: GuestCode;
}

const engine = new CodeEngine("test");
const guestCode = suite<Context>("code of a guest");

guestCode.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "tandem-guest-code-"));
  context.store = new CodeStore({ directory: context.directory });
  context.guest = new GuestCode(engine, context.store);
});
guestCode.after.each(({ directory }) => rmSync(directory, { recursive: true }));

/** V8 keeps modules by their bytes: each test has its own. */
function small(mark: string): Uint8Array {
  return makeModule({
    functions: [{ body: call(1), exported: "f" }, { body: loop(...nop) }, { body: nop, exported: "g" }],
    mark,
  });
}

/** More code than is optimised in whole: functions that are never called. */
function large(mark: string): Uint8Array {
  const filler = { body: Array<number>(60_000).fill(1) };
  const count = Math.ceil(WHOLE_MODULE_BYTES / 60_000) + 1;
  const functions = [{ body: call(1), exported: "f" }, { body: loop(...nop) }, ...Array(count).fill(filler)];
  return makeModule({ functions, mark });
}

function statesOf(module: WebAssembly.Module, bytes: Uint8Array): readonly string[] {
  const scan = native.scanModule(bytes, 0);
  const code = Buffer.from(engine.save(module));
  return scan === undefined || code.length === 0 ? [] : parseStates(code, scan);
}

/** Puts code of all functions into the store, made of these bytes, under this name. */
function keep(store: CodeStore, bytes: Uint8Array, module = sha256(bytes)): string {
  const scan = native.scanModule(bytes, 0) ?? { imports: 0, functions: 0 };
  const code = engine.save(engine.compile(bytes, scan, Array(scan.functions).keys()));
  const { functions } = scan;
  store.add(engine.headOf(module, code, { optimised: functions, functions }), code);
  return module;
}

guestCode("without code, optimises what one call may keep busy, and wants the rest now", ({ guest }) => {
  const bytes = small("first");
  const digest = sha256(bytes);
  guest.find(digest);
  assert.equal(guest.fds, []);
  assert.equal(statesOf(guest.compile(bytes, digest), bytes), ["unused", "optimised", "unused"]);
  assert.equal(guest.report(), { wanted: "now" });
  assert.equal(guest.ran(), {});
});

guestCode("with code, takes it and wants nothing", ({ guest, store }) => {
  const bytes = small("second");
  const digest = keep(store, bytes);
  guest.find(digest);
  assert.is(guest.fds.length, 1);
  const states = statesOf(guest.compile(bytes, digest), bytes);
  assert.equal(states, ["optimised", "optimised", "optimised"]);
  assert.equal(guest.report(), { wanted: "no" });
  assert.equal(guest.fds, []);
  assert.is(store.list()[0]?.uses, 1);
});

guestCode("code that is damaged is not taken, and that is told", ({ guest, store, directory }) => {
  const bytes = small("damaged");
  const digest = keep(store, bytes);
  const path = join(directory, engine.id, digest);
  const file = readFileSync(path);
  file[file.length - 1] = (file[file.length - 1] ?? 0) ^ 1;
  writeFileSync(path, file);
  guest.find(digest);
  assert.instance(guest.compile(bytes, digest), WebAssembly.Module);
  const { wanted, damaged } = guest.report();
  assert.is(wanted, "now");
  assert.match(damaged ?? "", new RegExp(`^code of module ${digest}: its sha256 is not`));
});

guestCode("code of another module under this one's name is not taken", ({ guest, store, directory }) => {
  const [bytes, other] = [small("mine"), small("theirs")];
  const digest = sha256(bytes);
  const theirs = keep(store, other);
  writeFileSync(join(directory, engine.id, digest), readFileSync(join(directory, engine.id, theirs)));
  guest.find(digest);
  guest.compile(bytes, digest);
  assert.match(guest.report().damaged ?? "", new RegExp(`it is of module ${theirs}`));
});

guestCode(
  "a file that has changed since it was hashed does not get the code of what it was",
  ({ guest, store }) => {
    const [before, after] = [small("before"), small("after")];
    const digest = keep(store, before);
    guest.find(digest);
    const module = guest.compile(after, digest);
    assert.not.equal(statesOf(module, after)[0], "optimised");
    assert.match(guest.report().damaged ?? "", new RegExp(`it is for other bytes than ${sha256(after)}`));
  },
);

guestCode("of a large module, says at its end what it has called", ({ guest }) => {
  const bytes = large("large");
  const digest = sha256(bytes);
  const module = guest.compile(bytes, digest);
  assert.equal(guest.report(), { wanted: "afterwards" });
  const { f } = new WebAssembly.Instance(module).exports;
  if (typeof f === "function") f();
  const ran = guest.ran();
  const { functions = 0 } = native.scanModule(bytes, 0) ?? {};
  assert.equal(Object.keys(ran), [digest]);
  assert.equal(decodeFunctions(ran[digest] ?? "", functions), [0, 1]);
});

guestCode(
  "hashes a file unless somebody knows its digest; one that is too large has no code",
  ({ guest, directory }) => {
    const path = join(directory, "module");
    writeFileSync(path, "bytes");
    const fd = openSync(path, "r+");
    try {
      assert.is(guest.digestOf(fd), sha256(Buffer.from("bytes")));
      assert.is(guest.digestOf(fd, `sha256:${"a".repeat(64)}`), "a".repeat(64));
    } finally {
      closeSync(fd);
    }
    const large = openSync(path, "w+");
    try {
      // Sparse: it has a size and no content.
      ftruncateSync(large, MAX_MODULE_BYTES + 1);
      assert.is(guest.digestOf(large), undefined);
    } finally {
      closeSync(large);
    }
  },
);

guestCode("bytes that V8 refuses are its error, as without any code", ({ guest }) => {
  const bytes = makeModule({ functions: [{ body: [0x41, 0] }] });
  assert.throws(
    () => guest.compile(bytes, sha256(bytes)),
    (error: unknown) => error instanceof WebAssembly.CompileError,
  );
});

guestCode.run();
