import { mkdtempSync, readFileSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kernelFilesystemAt, kernelFilesystems } from "../../src/isolation/kernel-filesystems.ts";

const test = suite("the kernel's own file systems");

test("Are recognised by what a path leads to", () => {
  assert.is(kernelFilesystemAt("/proc/self"), "proc");
  assert.is(kernelFilesystemAt("/sys"), "sysfs");
  const directory = mkdtempSync(join(tmpdir(), "tandem-fs-"));
  assert.is(kernelFilesystemAt(directory), undefined);
  rmdirSync(directory);
});

test("Are the same ones where they are granted and where they are covered", () => {
  const source = readFileSync(new URL("../../native/addon/kernel_mounts.cc", import.meta.url), "utf8");
  const [, list = ""] = /kKernelFilesystems\{([^}]*)\}/.exec(source) ?? [];
  assert.equal(
    [...list.matchAll(/"(\w+)"/g)].map(([, name]) => name),
    [...kernelFilesystems.keys()],
  );
});

test.run();
