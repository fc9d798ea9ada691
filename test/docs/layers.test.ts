/** Imports go downward, as ARCHITECTURE.md says; what is imported as a type only binds nobody at run time. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** From the ground up. A file belongs to the last floor that has a pattern for it. */
const floors: readonly (readonly RegExp[])[] = [
  [/^src\/(ttrpc-ts|oras-js)\//],
  [/^src\/[^/]+$/, /^src\/(api|wasm-binary)\//],
  [/^src\/bundle\//],
  [/^src\/isolation\//],
  [/^src\/criu\//],
  [/^src\/image\//],
  [/^src\/code\//],
  [/^wasm-host\//],
  [/^src\/zygote\//],
  [/^src\/grant\//],
  [/^src\/executor\//, /^src\/containerd\//],
  [/^src\/task\//, /^src\/oci\//, /^src\/run\//],
  [/^src\/shim\//],
  // The zygote plays whole pods before its first fork.
  [/^src\/zygote\/(warm-up|rehearsal|become-nursery)/],
  [/^src\/main\.ts$/, /^src\/cli\//],
];

function floorOf(file: string): number {
  const floor = floors.findLastIndex((patterns) => patterns.some((pattern) => pattern.test(file)));
  if (floor < 0) throw new Error(`${file}: on no floor`);
  return floor;
}

/** Relative imports of values. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  const imports = text.matchAll(
    /^(?:import|export)\s+(?!type\b)[^"';]*?from "(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gm,
  );
  return [...imports].map(([, from, dynamic]) => normalize(join(dirname(file), from ?? dynamic ?? "")));
}

const layers = suite("layers");

layers("no file imports from a floor above its own", () => {
  const files = globSync(["src/**/*.ts", "wasm-host/**/*.ts"], { cwd: root }).filter(
    (file) => !/(^|\/)(gen|test|node_modules)\//.test(file),
  );
  assert.ok(files.length > 150);
  const climbing = files.flatMap((file) =>
    importsOf(file)
      .filter((imported) => floorOf(imported) > floorOf(file))
      .map((imported) => `${file} → ${imported}`),
  );
  assert.equal(climbing, []);
});

layers.run();
