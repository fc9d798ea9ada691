import type { Command } from "commander";
import { directories } from "../../directories.ts";
import { addAdd } from "./add.ts";
import { addList } from "./ls.ts";
import { addPrune } from "./prune.ts";
import { addVerify } from "./verify.ts";

/** `tandem cache`: what is kept below the state directory. */
export function addCache(program: Command): void {
  const cache = program
    .command("cache")
    .description(
      `what is kept of images below ${directories.state}: wasm layers, transpiled components, code`,
    );
  addList(cache);
  addAdd(cache);
  addVerify(cache);
  addPrune(cache);
}
