import type { Command } from "commander";
import { buildId } from "../../build-id.ts";
import { isForeignKey } from "../../image/transpile.ts";
import { codeStore, components, type Entry, listEntries, sizeText, stores } from "./entries.ts";

export function addPrune(cache: Command): void {
  cache
    .command("prune")
    .description("drop what other builds have made or have left unfinished, and what is over the bounds")
    .option("--all", "drop everything")
    .option("--json", "as JSON")
    .action((options: { readonly all?: boolean; readonly json?: boolean }) => {
      const before = listEntries();
      if (options.all === true) for (const store of stores()) store.clear();
      else prune(before);
      const after = new Set(listEntries().map(({ kind, name }) => `${kind} ${name}`));
      const dropped = before.filter(({ kind, name }) => !after.has(`${kind} ${name}`));
      const bytes = dropped.reduce((sum, entry) => sum + entry.bytes, 0);
      process.stdout.write(
        options.json === true
          ? `${JSON.stringify({ dropped, bytes }, undefined, 2)}\n`
          : `${dropped.length} entries dropped, ${sizeText(bytes)}\n`,
      );
    });
}

function prune(entries: readonly Entry[]): void {
  const build = buildId();
  for (const entry of entries) {
    const foreign = entry.kind === "component" ? isForeignKey(entry.name) : entry.build !== build;
    if (entry.kind !== "module" && foreign) entry.remove();
  }
  codeStore().trim();
  components().trim();
}
