/** docs/limits.md names messages that exist, and every limit that the code knows by the name "unimplemented". */
import { globSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { codesOf, read, root, tableBelow } from "./markdown.ts";

const limits = suite("docs/limits.md");
const rows = tableBelow(read("docs/limits.md"), "# Known limits").map(([, message = "", where = ""]) => ({
  message: codesOf(message)[0] ?? "",
  where: codesOf(where)[0] ?? "",
}));

/** What of a message stands in the source as it is. */
const fixedParts = (message: string): string[] => message.split("…").filter((part) => part.trim() !== "");

limits("names messages that stand in the files that it names", () => {
  assert.ok(rows.length > 20);
  for (const { message, where } of rows) {
    const source = read(where);
    for (const part of fixedParts(message)) assert.ok(source.includes(part), `${where}: ${message}`);
  }
});

limits("has a row for every error of the code unimplemented", () => {
  const files = globSync(["src/**/*.ts", "wasm-host/**/*.ts"], { cwd: root }).filter(
    (file) => !/\/gen\/|src\/(ttrpc-ts|oras-js)\//.test(file),
  );
  const raised = /TandemError\(\s*"unimplemented",\s*(?:`([^`]*)`|"([^"]*)")/g;
  let found = 0;
  for (const file of files) {
    for (const match of read(file).matchAll(raised)) {
      found += 1;
      const message = (match[1] ?? match[2] ?? "").replace(/\$\{[^}]*\}/g, "…");
      assert.ok(
        rows.some((row) => row.where === file && row.message === message),
        `${file}: ${message}`,
      );
    }
  }
  assert.ok(found >= 15, `only ${found} found`);
});

limits.run();
