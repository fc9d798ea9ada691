import { flagLines } from "../oci/help.ts";
import { type GroupOptions, wasiOptions, wasmOptions } from "./group-options.ts";
import { runFlags } from "./run-flags.ts";

/** `tandem run --help` */
export function runHelp(): string {
  return [
    "usage: tandem run [OPTION…] FILE[#EXPORT] [ARG…]",
    "",
    "Runs a WebAssembly module or component. Nothing is granted to it that no option grants; its stdin, stdout and",
    "stderr are yours.",
    "",
    ...flagLines(runFlags),
    "",
    ...groupLines("-S", wasiOptions),
    "",
    ...groupLines("-W", wasmOptions),
    "",
  ].join("\n");
}

function groupLines(group: string, options: GroupOptions): string[] {
  return Object.entries(options).map(([name, option]) => {
    const help = "always" in option ? `accepted: ${option.always}` : option.help;
    return `  ${group} ${name.padEnd(31)} ${help}`;
  });
}
