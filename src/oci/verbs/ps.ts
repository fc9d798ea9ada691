import { execFile } from "node:child_process";
import { TandemError } from "../../errors.ts";
import { type Command, type Context, containerId } from "../command.ts";
import { LiveContainer } from "../live-container.ts";

/** Where `ps` is when the caller has no PATH. */
const USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PS_TIMEOUT_MS = 30_000;

export const ps: Command = {
  summary: "list the processes of a container",
  operands: "ID [PS-OPTION…]",
  inOrder: true,
  flags: { format: { value: "FORMAT", short: "f", help: "table or json; json is a list of pids" } },
  run: async (context) => {
    const { call, given, store } = context;
    const container = new LiveContainer(store, containerId(context, Number.POSITIVE_INFINITY));
    const format = given.text("format") ?? "table";
    const pids = container.pids();
    if (format === "json") call.write(`${JSON.stringify(pids)}\n`);
    else if (format === "table") call.write(selectLines(await askPs(context), pids));
    else throw new TandemError("invalid_argument", `--format ${format}: is table or json`);
    return 0;
  },
};

/** The machine's own `ps` knows every column that a user may ask for. */
function askPs({ call, given }: Context): Promise<string> {
  const options = given.operands.slice(1);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  execFile(
    "ps",
    options.length === 0 ? ["-ef"] : options,
    {
      env: { PATH: call.env.get("PATH") || USUAL_PATH },
      timeout: PS_TIMEOUT_MS,
      maxBuffer: 64 << 20,
      signal: call.signal,
    },
    (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new TandemError("failed_precondition", `ps: ${stderr.trim() || error.message}`));
    },
  );
  return promise;
}

/** The lines of these processes, below the title. @throws TandemError invalid_argument when there is no PID among the columns */
export function selectLines(table: string, pids: readonly number[]): string {
  const [title = "", ...rows] = table.split("\n").filter((line) => line !== "");
  const column = title.trim().split(/\s+/).indexOf("PID");
  if (column < 0) throw new TandemError("invalid_argument", "ps: its options leave out the column PID");
  const wanted = new Set(pids.map(String));
  const selected = rows.filter((row) => wanted.has(row.trim().split(/\s+/)[column] ?? ""));
  return [title, ...selected, ""].join("\n");
}
