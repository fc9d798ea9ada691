import { clockOf } from "../../deterministic/made-up-clock.ts";
import type { Grant } from "../../grant.ts";
import type { Files, FileTimes } from "./files.ts";

/** The same files; what sets a time to the present takes the grant's clock, if it makes one up. */
export function withPresent(files: Files, clocks: Grant["clocks"]): Files {
  const clock = clockOf(clocks);
  if (clock === undefined) return files;
  const said = ({ accessed, modified }: FileTimes): FileTimes => {
    const present = accessed === "now" || modified === "now" ? clock.readWall() : undefined;
    const time = (one: FileTimes["accessed"]): FileTimes["accessed"] => (one === "now" ? present : one);
    return { accessed: time(accessed), modified: time(modified) };
  };
  return {
    ...files,
    setTimes: (fd, times) => files.setTimes(fd, said(times)),
    setTimesAt: (directory, path, follow, times) => files.setTimesAt(directory, path, follow, said(times)),
  };
}
