/** docs/debugging.md names messages and files that exist. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { codesOf, read, tableBelow } from "./markdown.ts";

const debugging = suite("docs/debugging.md");
const document = read("docs/debugging.md");

for (const heading of [
  "## Messages of the shim",
  "## Messages of the launcher",
  "## Messages of `tandem-oci`",
]) {
  debugging(`names messages that are in the code: ${heading.slice(3)}`, () => {
    const rows = tableBelow(document, heading);
    assert.ok(rows.length > 5);
    for (const row of rows) {
      const source = read(codesOf(row.at(-1) ?? "")[0] ?? "");
      for (const message of codesOf(row[0] ?? ""))
        assert.ok(source.includes(message.replace(/…$/, "")), message);
    }
  });
}

debugging("has a row for each message of the shim", () => {
  const named = new Set(
    tableBelow(document, "## Messages of the shim").flatMap(([cell = ""]) => codesOf(cell)),
  );
  const sources = new Set(
    tableBelow(document, "## Messages of the shim").map((row) => codesOf(row.at(-1) ?? "")[0] ?? ""),
  );
  for (const source of sources) {
    const logged = /log\.(?:debug|info|warn|error)\(\s*\{(?:[^{}]|\{[^{}]*\})*\},\s*"([^"]+)"/g;
    for (const [, message = ""] of read(source).matchAll(logged))
      assert.ok(named.has(message), `${source}: ${message}`);
  }
});

debugging("names the files that the launcher and the shim make", () => {
  const made: readonly (readonly [string, string])[] = [
    ["zygote.log", "native/launcher/spawn.c"],
    ["cold.log", "native/launcher/spawn.c"],
    ["zygote.pid", "src/zygote/tenure.ts"],
    ["oci.pid", "src/oci/stay.ts"],
    ["tandem-server", "src/oci/server.ts"],
    ["tandem.state", "src/bundle/state-file.ts"],
    ["tandem-zygote", "src/zygote/zygote.ts"],
    ["tandem-shim", "src/shim/shim.ts"],
    ["tandem-wasm", "wasm-host/main.ts"],
    ["tandem-resolve", "src/containerd/resolver-process.ts"],
    ["TANDEM_COLD", "native/launcher/start.c"],
  ];
  for (const [name, source] of made) {
    assert.ok(document.includes(name), name);
    assert.ok(read(source).includes(name), `${source}: ${name}`);
  }
});

debugging.run();
