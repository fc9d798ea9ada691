import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseProcess, parseResources, parseSpec, poststopHooks } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";

const spec = suite("spec");
const valid = { ociVersion: "1.2.0", process: { cwd: "/", args: ["true"] } };

function refusal(change: object): string {
  try {
    parseSpec(JSON.stringify({ ...valid, ...change }));
  } catch (error) {
    assert.instance(error, TandemError);
    assert.is((error as TandemError).code, "invalid_argument");
    return (error as TandemError).message;
  }
  throw new Error("was expected to be refused");
}

spec("a value of the wrong kind is refused by the name of its property", () => {
  assert.is(refusal({ process: { cwd: "/", args: ["a", 1] } }), "process.args[1]: must be a string");
  assert.is(refusal({ process: { cwd: "here" } }), "process.cwd: must be an absolute path");
  assert.is(refusal({ process: { args: [] } }), "process.cwd: is missing");
  assert.is(
    refusal({ process: { cwd: "/", user: { uid: -1 } } }),
    "process.user.uid: must be an integer from 0 to 4294967294",
  );
  assert.match(
    refusal({ linux: { namespaces: [{ type: "moon" }] } }),
    /^linux\.namespaces\[0\]\.type: must be one of pid, /,
  );
  assert.is(refusal({ mounts: {} }), "mounts: must be a list");
  assert.is(
    refusal({ hooks: { prestart: [{ path: "relative" }] } }),
    "hooks.prestart[0].path: must be an absolute path",
  );
  assert.is(refusal({ annotations: { a: 1 } }), "annotations.a: must be a string");
  assert.is(
    refusal({ process: { cwd: "/", env: ["A=\0"] } }),
    "process.env[0]: must be a string without NUL",
  );
  assert.is(refusal({ ociVersion: "2.0.0" }), "ociVersion: 2.0.0 is not a version 1");
});

spec("null counts as absent and unknown properties are ignored", () => {
  const read = parseSpec(
    JSON.stringify({ ...valid, mounts: null, linux: { sysctl: null, fromTheFuture: 1 }, solaris: {} }),
  );
  assert.is(read.mounts, undefined);
  assert.not("sysctl" in (read.linux ?? {}));
});

spec("what is no JSON is refused", () => {
  assert.throws(
    () => parseSpec("{"),
    (error: TandemError) => error.message === "config.json: is not JSON at position 1 (line 1 column 2)",
  );
  assert.throws(
    () => parseSpec("[]"),
    (error: TandemError) => error.message === "config.json: must be an object",
  );
});

spec("the process of an exec and the resources of an update are read on their own", () => {
  assert.is(parseProcess({ cwd: "/", args: ["a"] }).args?.[0], "a");
  assert.throws(
    () => parseProcess({ cwd: "/", terminal: "yes" }),
    (error: TandemError) => error.message === "process.terminal: must be true or false",
  );
  assert.equal(parseResources({ pids: { limit: 3 } }), { pids: { limit: 3 } });
  assert.throws(
    () => parseResources([]),
    (error: TandemError) => error.message === "resources: must be an object",
  );
});

spec("poststop hooks come with every field filled", () => {
  const read = parseSpec(
    JSON.stringify({
      ...valid,
      hooks: { poststop: [{ path: "/a" }, { path: "/b", args: ["b", "c"], timeout: 4 }] },
    }),
  );
  assert.equal(poststopHooks(read), [
    { path: "/a", args: [], env: [], timeout: 0 },
    { path: "/b", args: ["b", "c"], env: [], timeout: 4 },
  ]);
});

spec.run();
