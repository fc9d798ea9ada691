import { existsSync, readFileSync, rmSync } from "node:fs";
import { TandemError } from "../errors.ts";

/** criu's answer says little; its log has the reason, which a failure of `work` then carries. */
export async function withLogExcerpt<T>(log: string, work: () => Promise<T>): Promise<T> {
  rmSync(log, { force: true });
  try {
    return await work();
  } catch (error) {
    const failure = TandemError.from(error);
    throw new TandemError(failure.code, `${failure.message}${excerptOf(log)}`, { cause: failure });
  }
}

/** So many of the last errors: what went wrong, and what it was met at. Before them are those of features that are merely missing. */
const MOST_ERRORS = 2;

/** "(00.012)      1: Error (criu/files.c:12): text"; the last ones say only that it FAILED. */
function excerptOf(log: string): string {
  if (!existsSync(log)) return " (it wrote no log; `criu check` may say why)";
  const errors = readFileSync(log, "utf8")
    .split("\n")
    .flatMap((line) => /Error \(criu\/[^)]*\): (.*)$/.exec(line)?.[1] ?? []);
  const end = errors.findIndex((text) => text.includes("FAILED"));
  const causes = errors.slice(0, end < 0 ? errors.length : end).slice(-MOST_ERRORS);
  return `: ${causes.join("; ") || "no error in its log"} (${log})`;
}
