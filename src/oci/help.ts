import type { Command } from "./command.ts";
import type { Flags } from "./flags.ts";

/** `tandem-oci --help` */
export function generalHelp(flags: Flags, commands: Readonly<Record<string, Command>>): string {
  const verbs = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`);
  return [
    "usage: tandem-oci [OPTIONS] COMMAND [ARG…]",
    "",
    "Runs Linux containers from OCI bundles, with the command line of runc.",
    "",
    ...verbs,
    "",
    ...flagLines(flags),
    "",
  ].join("\n");
}

/** `tandem-oci COMMAND --help` */
export function commandHelp(name: string, { summary, operands, flags }: Command): string {
  return [
    `usage: tandem-oci [OPTIONS] ${name} [OPTIONS] ${operands}`.trimEnd(),
    "",
    `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
    "",
    ...flagLines(flags),
    "",
  ].join("\n");
}

export function flagLines(flags: Flags): string[] {
  return Object.entries(flags).map(([name, { value, short, help }]) => {
    const names = `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`;
    return `  ${names.padEnd(34)} ${help}`;
  });
}
