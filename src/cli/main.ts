/** The command `tandem`. Each verb is a file of its own; this one names them. */
import { Command } from "commander";
import { TandemError } from "../errors.ts";
import { VERSION } from "../version.ts";
import { addCache } from "./cache/cache.ts";
import { addInspect } from "./inspect.ts";
import { addPs } from "./ps.ts";
import { addPull } from "./pull.ts";
import { addPush } from "./push.ts";
import { addZygote } from "./zygote.ts";

const program = new Command("tandem")
  .description("WebAssembly and Linux containers side by side, through containerd")
  .version(VERSION, "-V, --version", "print the version")
  .addHelpText(
    "after",
    "\n  run [options] FILE[#EXPORT] [ARG…]   run a WebAssembly module or component" +
      "\n  serve [options] FILE                 serve a component of wasi:http" +
      "\n  oci …                                the command line of runc; also installed as tandem-oci",
  )
  .showHelpAfterError("(tandem help shows what there is)");

program
  .command("version")
  .description("print the version of Tandem and of the Node it runs on")
  .action(() => {
    process.stdout.write(`tandem ${VERSION}\nnode ${process.versions.node}, v8 ${process.versions.v8}\n`);
  });
addInspect(program);
addPs(program);
addZygote(program);
addCache(program);
addPull(program);
addPush(program);

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`tandem: ${TandemError.from(error).message}\n`);
  process.exitCode = 1;
}
