import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = join(import.meta.dirname, "../..");

function filesBelow(directory: string): readonly string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

for (const [template, generated] of [
  ["src/api/buf.gen.yaml", "src/api/gen"],
  ["scripts/private-containerd/buf.gen.yaml", "scripts/private-containerd/gen"],
] as const) {
  test(`${generated} is what \`npm run generate\` makes of the .proto files`, () => {
    const fresh = mkdtempSync(join(tmpdir(), "tandem-generated-"));
    try {
      execFileSync(
        join(root, "node_modules/.bin/buf"),
        ["generate", "--template", template, "--output", fresh],
        { cwd: root },
      );
      const files = filesBelow(join(root, generated));
      assert.equal(filesBelow(join(fresh, generated)), files);
      for (const file of files) {
        const committed = readFileSync(join(root, generated, file), "utf8");
        assert.is(readFileSync(join(fresh, generated, file), "utf8"), committed, file);
      }
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  });
}

test.run();
