import type { Command } from "commander";
import { buildId } from "../../build-id.ts";
import { plainTable } from "../plain-table.ts";
import { type Entry, listEntries, sizeText } from "./entries.ts";

export function addList(cache: Command): void {
  cache
    .command("ls")
    .description("list it, the least recently used first")
    .option("--json", "as JSON")
    .action((options: { readonly json?: boolean }) => {
      const entries = listEntries();
      process.stdout.write(
        options.json === true ? `${JSON.stringify(entries, undefined, 2)}\n` : renderEntries(entries),
      );
    });
}

function renderEntries(entries: readonly Entry[]): string {
  const build = buildId();
  const note = (entry: Entry): string => {
    if (entry.kind !== "code") return "";
    if (entry.build === undefined) return "damaged";
    const functions = `${entry.optimised} of ${entry.functions} functions`;
    return entry.build === build ? functions : `${functions}, of another build`;
  };
  return plainTable(
    ["KIND", "NAME", "SIZE", "USES", "LAST USED", ""],
    entries.map((entry) => [
      entry.kind,
      entry.name.replace(/([0-9a-f]{12})[0-9a-f]{52}$/, "$1"),
      sizeText(entry.bytes),
      entry.uses ?? "",
      entry.usedAt.toISOString().slice(0, 19).replace("T", " "),
      note(entry),
    ]),
  );
}
