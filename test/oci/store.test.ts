import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/native.ts";
import type { ContainerRecord } from "../../src/oci/record.ts";
import { Store } from "../../src/oci/store.ts";

const NOBODY = 65534;
const tests = suite("tandem-oci: the files of --root");
let root: string;
let store: Store;

tests.before.each(() => {
  root = mkdtempSync(join(tmpdir(), "tandem-store-"));
  store = new Store(root);
  store.reserve("c1");
  store.save(record);
});
tests.after.each(() => rmSync(root, { recursive: true, force: true }));

const record: ContainerRecord = {
  id: "c1",
  bundle: "/bundle",
  rootfs: "/bundle/rootfs",
  pid: 70,
  startTime: "5",
  created: "2026-01-01T00:00:00Z",
  owner: 0,
  cgroups: ["/sys/fs/cgroup/memory/c1"],
  noNewKeyring: false,
  complete: true,
  spec: { ociVersion: "1.2.0" },
};
const file = (): string => join(root, "c1/state.json");

tests("a record is what was saved", () => {
  assert.equal(store.load("c1"), record);
  assert.equal(store.ids(), ["c1"]);
  const unit = {
    name: "a-b.scope",
    addresses: [
      { path: "/run/systemd/private", direct: true },
      { path: "\0abstract", direct: false },
    ],
  };
  store.save({ ...record, unit });
  assert.equal(store.load("c1"), { ...record, unit });
  assert.throws(() => store.load("c2"), /container c2: does not exist/);
});

tests("a directory without a record is said to be one", () => {
  rmSync(file());
  assert.throws(() => store.reserve("c1"), /c1: already exists; .* delete --force removes what is left/);
});

tests(
  "whatever there is of a container is removed, and what a killed server has left is in nobody's way",
  () => {
    writeFileSync(`${file()}.new`, "cut of");
    store.save({ ...record, pid: 9 });
    assert.is(store.load("c1").pid, 9);
    assert.not.ok(existsSync(`${file()}.new`));
    store.remove("c1");
    assert.equal(store.ids(), []);
    store.remove("c1");
    store.reserve("c1");
    store.remove("c1");
    store.reserve("c1");
    store.save(record);
    mkdirSync(join(root, "c1/more"));
    writeFileSync(join(root, "c1/more/file"), "");
    store.remove("c1");
    assert.equal(store.ids(), []);
  },
);

tests("an id is a name and no path", () => {
  for (const id of ["", ".", "..", "../c1", "c1/..", "/c1", "a\0b", "c1\n", "ü", "a b"]) {
    for (const use of [
      () => store.reserve(id),
      () => store.load(id),
      () => store.has(id),
      () => store.remove(id),
    ])
      assert.throws(use, /container id .*: letters, digits and _\+\.- only/, JSON.stringify(id));
  }
});

tests("what others may write is not believed", () => {
  chmodSync(file(), 0o620);
  assert.throws(() => store.load("c1"), /are not this user's alone/);
  chmodSync(file(), 0o600);
  chmodSync(join(root, "c1"), 0o702);
  assert.throws(() => store.load("c1"), /are not this user's alone/);
  assert.throws(() => store.save(record), /are not this user's alone/);
  assert.throws(() => store.listenForStart("c1"), /are not this user's alone/);
});

tests("what belongs to another is not believed", () => {
  if (process.geteuid?.() !== 0) return;
  chownSync(file(), NOBODY, NOBODY);
  assert.throws(() => store.load("c1"), /are not this user's alone/);
  chownSync(file(), 0, 0);
  chownSync(join(root, "c1"), NOBODY, NOBODY);
  assert.throws(() => store.load("c1"), /are not this user's alone/);
});

tests("no symlink is followed, neither in place of the directory nor of the file", () => {
  mkdirSync(join(root, "elsewhere"), { mode: 0o700 });
  writeFileSync(join(root, "elsewhere/state.json"), JSON.stringify({ ...record, id: "link" }), {
    mode: 0o600,
  });
  symlinkSync("elsewhere", join(root, "link"));
  assert.throws(() => store.load("link"), /container link: .*(ENOTDIR|ELOOP|not a directory)/i);
  assert.throws(() => store.save({ ...record, id: "link" }), /ENOTDIR|ELOOP/);
  assert.throws(() => store.remove("link"), /container link: .*link is no directory/);
  assert.ok(existsSync(join(root, "elsewhere/state.json")));
  renameSync(file(), join(root, "victim"));
  symlinkSync("../victim", file());
  assert.throws(() => store.load("c1"), /ELOOP|symbolic links/i);
  // Saving replaces the name and not what it leads to.
  const before = readFileSync(join(root, "victim"), "utf8");
  symlinkSync("../victim", `${file()}.new`);
  store.save({ ...record, pid: 7 });
  assert.is(store.load("c1").pid, 7);
  assert.is(readFileSync(join(root, "victim"), "utf8"), before);
});

tests("a FIFO in place of the file holds nobody up", () => {
  rmSync(file());
  native.makeFifo(file());
  assert.throws(() => store.load("c1"), /state.json is damaged/);
});

tests("a record that is none, or another container's, is refused", () => {
  const put = (content: string): void => writeFileSync(file(), content, { mode: 0o600 });
  for (const content of [
    "",
    "{",
    "[]",
    "null",
    "{}",
    JSON.stringify({ ...record, pid: "1" }),
    JSON.stringify({ ...record, pid: -1 }),
    JSON.stringify({ ...record, cgroups: ["relative"] }),
    JSON.stringify({ ...record, cgroups: ["/sys/fs/cgroup/memory/../../../home"] }),
    JSON.stringify({ ...record, bundle: undefined }),
    JSON.stringify({ ...record, spec: { ociVersion: "1.2.0", process: 5 } }),
    JSON.stringify({ ...record, unit: { name: "a.scope" } }),
    JSON.stringify({ ...record, unit: { name: "a.scope", addresses: [{ path: "relative", direct: true }] } }),
  ]) {
    put(content);
    assert.throws(() => store.load("c1"), /container c1: state.json is damaged/, content);
  }
  for (const change of [{ id: "c2" }, { id: "../c1" }]) {
    put(JSON.stringify({ ...record, ...change }));
    assert.throws(() => store.load("c1"), /container c1: state.json is another's/);
  }
});

tests("a damaged record is believed part by part, and only where it still says whose it is", () => {
  const told = (content: unknown): unknown => {
    writeFileSync(file(), typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });
    return store.legibleParts("c1");
  };
  const { cgroups, pid, startTime } = record;
  const unit = { name: "a.scope", addresses: [{ path: "/run/systemd/private", direct: true }] };
  const process = { pid, startTime };
  assert.equal(told({ ...record, unit, spec: undefined }), { process, cgroups, unit });
  assert.equal(told({ ...record, pid: "1" }), { cgroups });
  for (const none of [0, 1]) assert.equal(told({ ...record, pid: none }), { cgroups });
  assert.equal(told({ ...record, startTime: 5, unit: { ...unit, addresses: [{}] } }), { cgroups });
  assert.equal(told({ ...record, cgroups: ["/sys/fs/cgroup/memory/../.."], unit }), { process, unit });
  assert.equal(told({ ...record, cgroups: "all" }), { process });
  for (const content of ["", "{", "null", "[]", { cgroups, pid, startTime }, { ...record, id: "c2" }])
    assert.equal(told(content), {}, JSON.stringify(content));
  chmodSync(file(), 0o620);
  assert.throws(() => store.legibleParts("c1"), /are not this user's alone/);
});

tests("what is undone is one's own directory, and not another's that has got its name", () => {
  const own = store.reserve("c2");
  assert.ok(store.isStill("c2", own));
  store.save({ ...record, id: "c2" });
  store.remove("c2", own);
  assert.not.ok(store.has("c2"));
  assert.not.ok(store.isStill("c2", own));
  renameSync(join(root, "c1"), join(root, "moved"));
  store.remove("c1", own);
  const other = store.reserve("c1");
  store.save({ ...record, pid: 9 });
  store.remove("c1", { ...other, ino: other.ino + 1 });
  assert.is(store.load("c1").pid, 9);
  store.remove("c1", other);
  assert.not.ok(store.has("c1"));
  assert.ok(existsSync(join(root, "moved/state.json")));
});

tests("what is in a container's directory is removed with it, and nothing that a link in it leads to", () => {
  mkdirSync(join(root, "elsewhere"));
  writeFileSync(join(root, "elsewhere/kept"), "");
  symlinkSync("../elsewhere", join(root, "c1/link"));
  mkdirSync(join(root, "c1/more"));
  symlinkSync(join(root, "elsewhere"), join(root, "c1/more/link"));
  store.remove("c1");
  assert.not.ok(store.has("c1"));
  assert.ok(existsSync(join(root, "elsewhere/kept")));
});

tests.run();
