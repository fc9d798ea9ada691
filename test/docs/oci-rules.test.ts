import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { leavesOf, readRules } from "../../scripts/list-oci-properties.ts";
import { rules } from "../bad-input/rules.ts";

const lists = suite("lists of the OCI schema");
const root = join(import.meta.dirname, "../..");

/** Where Go has the specification, or why it has not. */
function schemaDirectory(): { readonly path: string } | { readonly reason: string } {
  const go = ["/usr/local/go/bin/go", "/usr/bin/go"].find((path) => existsSync(path));
  if (go === undefined) return { reason: "no go" };
  try {
    const answer = execFileSync(
      go,
      ["mod", "download", "-json", "github.com/opencontainers/runtime-spec@v1.3.0"],
      { encoding: "utf8", timeout: 60_000, stdio: ["ignore", "pipe", "pipe"] },
    );
    return { path: join((JSON.parse(answer) as { Dir: string }).Dir, "schema") };
  } catch (error) {
    return {
      reason: `the specification cannot be downloaded: ${String((error as Error).message).split("\n", 1)[0]}`,
    };
  }
}

lists("both lists are of the same properties", () => {
  const properties = readFileSync(join(root, "docs/conformance/oci-1.3-properties.txt"), "utf8");
  assert.equal(leavesOf(rules), properties.trim().split("\n"));
});

lists("the lists are what the schema says", () => {
  const schema = schemaDirectory();
  if ("reason" in schema) {
    process.stdout.write(`skipped: ${schema.reason}\n`);
    return;
  }
  assert.equal(rules, readRules(schema.path));
});

lists.run();
