import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import type { Workload } from "../../../wasm-host/config.ts";
import { buildId } from "../../build-id.ts";
import { directories, launcherPath } from "../../directories.ts";
import { TandemError } from "../../errors.ts";
import { forkCompiler } from "../../executor/wasm-code.ts";
import type { ComponentManifest } from "../../image/compile-cache.ts";
import { digestOf } from "../../image/digest-of.ts";
import { native } from "../../native.ts";
import { findWorkload } from "../../run/find-workload.ts";
import { startZygote } from "../zygote.ts";
import { type Entry, listEntries } from "./entries.ts";

export function addAdd(cache: Command): void {
  cache
    .command("add")
    .description("optimise a module or component ahead of its first run: all functions, however large it is")
    .argument("<file>", "the module or component")
    .option("--json", "as JSON")
    .action(async (file: string, options: { readonly json?: boolean }) => {
      if (process.execArgv.join("\n") !== zygoteFlags()) return becomeOneOfTheZygotes();
      const entries = await addCode(resolve(file));
      process.stdout.write(
        options.json === true
          ? `${JSON.stringify(entries, undefined, 2)}\n`
          : entries
              .map((entry) => `${entry.name}: ${entry.optimised} of ${entry.functions} functions\n`)
              .join(""),
      );
    });
}

function zygoteFlags(): string {
  return readFileSync(join(directories.lib, "zygote.args"), "latin1").trim();
}

/** What is transpiled is for the zygote's children, whose V8 has its flags. */
function becomeOneOfTheZygotes(): void {
  const own = [...zygoteFlags().split("\n"), ...process.argv.slice(1)];
  process.exitCode = spawnSync(process.execPath, own, { stdio: "inherit" }).status ?? 1;
}

async function addCode(path: string): Promise<Entry[]> {
  const zygote = { socket: startZygote(), launcher: launcherPath };
  const { workload } = await findWorkload(path, undefined, new AbortController().signal);
  const { pidfd, done } = forkCompiler(zygote, workload, { whole: true });
  closeSync(done);
  native.waitReadable(pidfd, -1);
  closeSync(pidfd);
  const digests = new Set(digestsOf(workload));
  const build = buildId();
  const entries = listEntries().filter((entry) => entry.build === build && digests.has(entry.name));
  if (entries.length === 0)
    throw new TandemError(
      "internal",
      `${path}: could not be optimised; zygote.log in the run directory says why`,
    );
  return entries;
}

function digestsOf(workload: Workload): string[] {
  if (workload.form === "component") {
    const manifest = JSON.parse(
      readFileSync(join(workload.transpiled, "manifest.json"), "utf8"),
    ) as ComponentManifest;
    return Object.values(manifest.files).map(({ sha256 }) => `sha256:${sha256}`);
  }
  const fd = openSync(join(...workload.file), "r");
  try {
    return [digestOf(fd)];
  } finally {
    closeSync(fd);
  }
}
