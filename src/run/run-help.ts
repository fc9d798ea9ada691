import type { Flags } from "../oci/flags.ts";
import { flagLines } from "../oci/help.ts";
import { type GroupOptions, wasiOptions, wasmOptions } from "./group-options.ts";
import { runFlags, serveFlags } from "./run-flags.ts";

/** `tandem run --help`, `tandem serve --help` */
export function helpOf(verb: "run" | "serve"): string {
  return verb === "run"
    ? help(
        "run [OPTION…] FILE[#EXPORT] [ARG…]",
        "Runs a WebAssembly module or component. Its stdin, stdout and stderr are yours; nothing else is granted to it that\n" +
          "no option grants.",
        runFlags,
      )
    : help(
        "serve [OPTION…] FILE",
        "Answers HTTP requests by a WebAssembly component. It says on stderr when it does, and ends on SIGINT and SIGTERM\n" +
          "once it has answered what it has taken.",
        serveFlags,
      );
}

function help(usage: string, summary: string, flags: Flags): string {
  return [
    `usage: tandem ${usage}`,
    "",
    summary,
    "",
    ...flagLines(flags),
    "",
    ...groupLines("-S", wasiOptions),
    "",
    ...groupLines("-W", wasmOptions),
    "",
  ].join("\n");
}

function groupLines(group: string, options: GroupOptions): string[] {
  return Object.entries(options).map(([name, option]) => {
    const text = "always" in option ? `accepted: ${option.always}` : option.help;
    return `  ${group} ${name.padEnd(31)} ${text}`;
  });
}
