import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../../src/errors.ts";
import { native } from "../../../src/native.ts";
import { readResolverFiles } from "../../../wasm-host/network/read-resolver-files.ts";

const test = suite("resolver files");
const directory = mkdtempSync(join(tmpdir(), "tandem-resolver-"));
test.after(() => rmSync(directory, { recursive: true }));

function place(name: string): string {
  return join(directory, name);
}

function failureOf(path: string): string {
  try {
    readResolverFiles({ resolvConf: path, hosts: place("none") });
  } catch (error) {
    assert.instance(error, TandemError);
    return (error as TandemError).message;
  }
  throw new Error(`${path} was read`);
}

test("What is there is read, also through a symlink; what is not there is empty", () => {
  writeFileSync(place("run.conf"), "nameserver 10.0.0.1\n");
  symlinkSync("run.conf", place("resolv.conf"));
  assert.equal(readResolverFiles({ resolvConf: place("resolv.conf"), hosts: place("none") }), {
    resolvConf: "nameserver 10.0.0.1\n",
    hosts: "",
  });
});

test("What is no file is refused and not waited for, and neither is a file without end", () => {
  native.makeFifo(place("fifo"));
  assert.is(failureOf(place("fifo")), `network grant: ${place("fifo")} is no file`);
  assert.is(failureOf(directory), `network grant: ${directory} is no file`);
  writeFileSync(place("large"), "");
  truncateSync(place("large"), 2 ** 40);
  assert.is(failureOf(place("large")), `network grant: ${place("large")} has ${2 ** 40} bytes: too large`);
});

test.run();
