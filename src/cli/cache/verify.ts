import type { Command } from "commander";
import { TandemError } from "../../errors.ts";
import { type Entry, listEntries } from "./entries.ts";

export function addVerify(cache: Command): void {
  cache
    .command("verify")
    .description("hash all of it; what is damaged is dropped, and made or fetched anew when it is wanted")
    .option("--json", "as JSON")
    .action((options: { readonly json?: boolean }) => {
      const entries = listEntries();
      const damaged = entries.flatMap((entry) => damageOf(entry) ?? []);
      for (const { remove } of damaged) remove();
      const told = damaged.map(({ kind, name, reason }) => ({ kind, name, reason }));
      const lines = told.map(({ reason }) => `dropped: ${reason}\n`);
      process.stdout.write(
        options.json === true
          ? `${JSON.stringify({ entries: entries.length, damaged: told }, undefined, 2)}\n`
          : `${lines.join("")}${entries.length} entries, ${told.length} damaged\n`,
      );
      if (told.length > 0) process.exitCode = 1;
    });
}

function damageOf(entry: Entry): (Entry & { readonly reason: string }) | undefined {
  try {
    entry.verify();
    return undefined;
  } catch (error) {
    const { code, message } = TandemError.from(error);
    // Somebody else has removed it meanwhile.
    if (code === "not_found") return undefined;
    return { ...entry, reason: message };
  }
}
