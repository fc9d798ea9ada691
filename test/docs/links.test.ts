/** What the documents name is there: links, paths, npm scripts. */
import { existsSync, globSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { codesOf, read, root } from "./markdown.ts";

const links = suite("links");
const documents = globSync(
  ["*.md", "docs/**/*.md", "examples/**/*.md", "src/*/README.md", "benchmarks/*.md"],
  {
    cwd: root,
  },
).filter((file) => !file.includes("node_modules") && file !== "CHANGELOG.md");
const scripts = Object.keys((JSON.parse(read("package.json")) as { scripts: object }).scripts);

const prose = (markdown: string): string => markdown.replace(/```[\s\S]*?```/g, "");

links("lead to files that are there", () => {
  assert.ok(documents.length > 8);
  for (const document of documents) {
    for (const [, target = ""] of prose(read(document)).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      assert.ok(existsSync(join(root, dirname(document), target)), `${document}: ${target}`);
    }
  }
});

/** Paths of the tree: what begins with one of its folders. */
const inTree = /^(?:src|wasm-host|native|scripts|test|docs|examples|benchmarks)\/[\w./-]*$/;

links("are right where a path is only named", () => {
  for (const document of documents) {
    for (const code of codesOf(prose(read(document)))) {
      if (!inTree.test(code) || code.includes("…")) continue;
      const candidates = [code, `${code}.ts`, `${code}.cc`, join(dirname(document), code)];
      assert.ok(
        candidates.some((path) => existsSync(join(root, path))),
        `${document}: ${code}`,
      );
    }
  }
});

links("name npm scripts that are there", () => {
  for (const document of documents) {
    // A package's own README speaks of its own scripts.
    if (/^src\/[^/]+\/README\.md$/.test(document)) continue;
    for (const [, name = ""] of read(document).matchAll(/npm (?:run )?((?<=run )[\w:-]+|start|test)\b/g))
      assert.ok(scripts.includes(name), `${document}: npm run ${name}`);
  }
});

links("of the code map name every folder of the sources", () => {
  const map = read("ARCHITECTURE.md");
  const folders = globSync(["src/*/", "native/*/"], { cwd: root }).map((path) => path.replace(/\/$/, ""));
  for (const folder of folders.filter((path) => path !== "native/build"))
    assert.ok(map.includes(`\`${folder}\``), folder);
});

links.run();
