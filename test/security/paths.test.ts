import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { selectExecutor } from "../../src/executor/select.ts";
import { native } from "../../src/native.ts";
import { locate } from "../../wasm-host/config.ts";
import { rejects } from "../support/rejects.ts";

const paths = suite("files that an image or a neighbour chose");
const directory = mkdtempSync(join(tmpdir(), "tandem-paths-"));
const rootfs = join(directory, "rootfs");
const volume = join(directory, "volume");
const MODULE = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

paths.before(() => {
  mkdirSync(rootfs);
  mkdirSync(volume);
  writeFileSync(join(directory, "module"), MODULE);
  mkdirSync(join(directory, "host"));
  writeFileSync(join(directory, "host/secret"), "root:x:0:0\n");
  writeFileSync(join(directory, "host/module"), MODULE);
  execFileSync("mkfifo", [join(rootfs, "fifo")]);
  symlinkSync("/dev/null", join(rootfs, "absolute"));
  symlinkSync("../host/secret", join(rootfs, "relative"));
  symlinkSync("/proc/self/root", join(rootfs, "magic"));
  symlinkSync(join(directory, "host"), join(volume, "out"));
  symlinkSync("../host", join(volume, "up"));
  writeFileSync(join(rootfs, "fine"), MODULE);
});
paths.after(() => rmSync(directory, { recursive: true }));

paths(
  "a FIFO, a directory and what leads out of the rootfs are no entrypoints, and nobody waits for them",
  () => {
    for (const name of ["fifo", "absolute", "relative", "magic/etc/passwd", "../host/secret", "."])
      assert.is(native.readHeadInRoot(rootfs, `/${name}`, 8), undefined, name);
    assert.equal(native.readHeadInRoot(rootfs, "/fine", 8), MODULE);
  },
);

paths("a device is not even opened", () => {
  // 10:237 has no driver: an open would fail with ENXIO, which is an error and not "no entrypoint".
  execFileSync("mknod", [join(rootfs, "device"), "c", "10", "237"]);
  assert.is(native.readHeadInRoot(rootfs, "/device", 8), undefined);
  assert.throws(() => native.openInRoot(rootfs, "/device"), /EINVAL|Invalid argument/);
});

paths("the module itself is opened like its first bytes", () => {
  for (const name of ["fifo", "absolute", "relative", "."])
    assert.throws(() => native.openInRoot(rootfs, `/${name}`), /openat2/, name);
  const fd = native.openInRoot(rootfs, "/fine");
  try {
    assert.equal(readFileSync(fd), MODULE);
  } finally {
    closeSync(fd);
  }
});

paths(
  "a neighbour's symlink in a shared volume leads nowhere, neither to bytes nor to a module of the host",
  async () => {
    const choose = (entry: string) =>
      selectExecutor({
        id: "c",
        spec: {
          process: { args: [entry], cwd: "/" },
          mounts: [{ destination: "/data", source: volume, type: "bind" }],
        },
        rootfs,
        readHead: native.readHeadInRoot,
        modeOf: native.modeInRoot,
        lookup: async () => undefined,
      });
    for (const entry of ["/data/out/secret", "/data/up/secret", "/data/out/module", "/data/up/module"])
      await rejects(() => choose(entry), "invalid_argument", /no such file/);
    writeFileSync(join(volume, "own"), MODULE);
    const selection = await choose("/data/own");
    assert.equal(selection.kind === "wasm" && locate(selection.module, rootfs), [volume, "own"]);
  },
);

paths.run();
