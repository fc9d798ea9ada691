import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseSpec } from "../../src/bundle/spec.ts";
import { rootlessSpec, usualSpec } from "../../src/oci/verbs/spec.ts";

const spec = suite("the config.json to begin with");

const known = new Set(
  readFileSync(new URL("../../docs/conformance/oci-1.3-properties.txt", import.meta.url), "utf8")
    .trim()
    .split("\n"),
);

/** Paths of the values in a document, as the list of properties writes them. */
function pathsOf(value: unknown, path: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => pathsOf(item, `${path}[]`));
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) =>
    pathsOf(inner, path === "" ? key : `${path}.${key}`),
  );
}

for (const [name, document] of [
  ["usual", usualSpec()],
  ["rootless", rootlessSpec()],
] as const) {
  spec(`${name}: is read without a complaint and has no property that the specification lacks`, () => {
    const read = parseSpec(JSON.stringify(document));
    assert.equal(read.process?.args, ["sh"]);
    assert.equal(
      pathsOf(document, "").filter((path) => !known.has(path)),
      [],
    );
  });
}

spec("rootless: has the caller's own id, no network of its own and no limits", () => {
  const { linux, mounts } = rootlessSpec();
  assert.equal(linux.uidMappings, [{ containerID: 0, hostID: process.geteuid?.(), size: 1 }]);
  const types = linux.namespaces.map(({ type }) => type);
  assert.ok(types.includes("user") && !types.includes("network"));
  assert.not.ok("resources" in linux);
  assert.not.ok(mounts.some(({ options = [] }) => options.some((option) => option.startsWith("gid="))));
});

spec.run();
