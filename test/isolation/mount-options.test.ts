import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseOptions } from "../../src/isolation/mount-options.ts";

const options = suite("mount options");

options("later options win, for flags and attributes alike", () => {
  const { flags, attributes } = parseOptions(["ro", "nosuid", "rw", "exec", "noexec"]);
  assert.is(flags, 2 | 8);
  assert.is(attributes.set, 2n | 8n);
  assert.is(attributes.clear, 1n);
});

options("an access time replaces the whole field", () => {
  assert.equal(parseOptions(["noatime", "strictatime"]).attributes.set, 0x20n);
  assert.equal(parseOptions(["noatime", "strictatime"]).attributes.clear, 0x70n);
  assert.equal(parseOptions(["strictatime", "relatime"]).attributes, {
    set: 0n,
    clear: 0x70n,
    recursiveSet: 0n,
    recursiveClear: 0n,
    propagation: 0,
  });
});

options("recursive attributes, propagation and binds are told apart by one letter", () => {
  const { attributes, bind, recursive } = parseOptions([
    "rbind",
    "rro",
    "rnosuid",
    "rdev",
    "rslave",
    "relatime",
  ]);
  assert.is(attributes.recursiveSet, 3n);
  assert.is(attributes.recursiveClear, 4n);
  assert.is(attributes.propagation, 0x80000 | 0x4000);
  assert.ok(bind && recursive);
});

options("what is in no table is data", () => {
  assert.equal(parseOptions(["size=1m", "mode=755", "nosuid", "defaults"]).data, ["size=1m", "mode=755"]);
});

options.run();
