import { spawnSync } from "node:child_process";
import type { Command } from "commander";
import { launcherPath } from "../directories.ts";
import { TandemError } from "../errors.ts";

/** `tandem zygote`: the zygote is started ahead of the first pod, which would otherwise wait for it. */
export function addZygote(program: Command): void {
  program
    .command("zygote")
    .description("start this node's zygote unless it runs, and print its socket")
    .action(() => {
      process.stdout.write(`${startZygote()}\n`);
    });
}

/** @throws TandemError unavailable with the launcher's own words. */
export function startZygote(): string {
  const { status, stdout, stderr, error } = spawnSync(launcherPath, ["zygote"], {
    encoding: "utf8",
    cwd: "/",
  });
  if (error !== undefined) throw TandemError.from(error, "zygote");
  if (status !== 0)
    throw new TandemError("unavailable", stderr.trim() || `zygote: the launcher ended with ${status}`);
  return stdout.trim();
}
