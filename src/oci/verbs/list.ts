import { existsSync, readFileSync } from "node:fs";
import Table from "cli-table3";
import { TandemError } from "../../errors.ts";
import type { Command, Context } from "../command.ts";
import { LiveContainer } from "../live-container.ts";
import { describe } from "./state.ts";

export const list: Command = {
  summary: "list the containers of this --root",
  operands: "",
  flags: {
    format: { value: "FORMAT", short: "f", help: "table or json" },
    quiet: { short: "q", help: "ids only" },
  },
  run: async ({ store, given, call, warn }: Context) => {
    const containers = store.ids().flatMap((id) => {
      try {
        return [describeWithOwner(new LiveContainer(store, id))];
      } catch (error) {
        const { code, message } = TandemError.from(error);
        warn(message);
        // One that is made or deleted at this moment goes unsaid; one that is damaged is not: a list without it would be a lie.
        if (code !== "not_found") call.writeError(`tandem-oci: ${message}\n`);
        return [];
      }
    });
    const format = given.text("format") ?? "table";
    if (given.has("quiet")) call.write(containers.map(({ id }) => `${id}\n`).join(""));
    else if (format === "json") call.write(`${JSON.stringify(containers)}\n`);
    else if (format === "table") call.write(`${toTable(containers)}\n`);
    else throw new TandemError("invalid_argument", `--format ${format}: is table or json`);
    return 0;
  },
};

type Description = Readonly<Record<string, unknown>>;

/** By name, as users know them. */
function describeWithOwner(container: LiveContainer): Description {
  return { ...describe(container), owner: userName(container.record.owner) };
}

function userName(uid: number): string {
  const users = existsSync("/etc/passwd") ? readFileSync("/etc/passwd", "utf8").split("\n") : [];
  return users.map((line) => line.split(":")).find(([, , id]) => id === String(uid))?.[0] ?? `#${uid}`;
}

function toTable(containers: readonly Description[]): string {
  const table = new Table({
    head: ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"],
    chars: Object.fromEntries(
      [
        "top",
        "top-mid",
        "top-left",
        "top-right",
        "bottom",
        "bottom-mid",
        "bottom-left",
        "bottom-right",
        "left",
        "left-mid",
        "mid",
        "mid-mid",
        "right",
        "right-mid",
        "middle",
      ].map((name) => [name, name === "middle" ? "  " : ""]),
    ),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  for (const { id, pid, status, bundle, created, owner } of containers) {
    table.push([id, pid, status, bundle, created, owner].map(String));
  }
  // The last column is padded as the others are.
  return table.toString().replace(/ +$/gm, "");
}
