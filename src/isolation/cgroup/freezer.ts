import { readFileSync } from "node:fs";
import { TandemError } from "../../errors.ts";
import { native } from "../../native.ts";
import { whyAbsent } from "./delegated.ts";
import type { CgroupPaths } from "./paths.ts";
import { sleep } from "./processes.ts";

const patienceMs = 2000;

/**
 * Stops every process of the cgroup and returns when all stand still.
 *
 * @throws TandemError deadline_exceeded, thawed again, when one does not stop within two seconds (it hangs in the kernel);
 * failed_precondition where no freezer is mounted.
 */
export function freeze(paths: CgroupPaths): void {
  const v1 = paths.v1.get("freezer");
  const standsStill = v1 === undefined ? freezeV2(unifiedOf(paths)) : freezeV1(v1);
  const deadline = Date.now() + patienceMs;
  for (let attempt = 0; !standsStill(attempt); attempt++) {
    if (Date.now() > deadline) {
      thaw(paths);
      throw new TandemError("deadline_exceeded", `cgroup ${v1 ?? paths.unified}: does not freeze`);
    }
    sleep(attempt < 20 ? 0.1 : 5);
  }
}

/** Lets them go on. Not frozen is no error. */
export function thaw(paths: CgroupPaths): void {
  const v1 = paths.v1.get("freezer");
  if (v1 !== undefined) native.writeFiles([`${v1}/freezer.state`, "THAWED"]);
  else if (paths.unified !== undefined) native.writeFiles([`${paths.unified}/cgroup.freeze`, "0"]);
}

/** Whether someone has asked for it to be frozen. False for a cgroup that is gone, or without a freezer. */
export function isFrozen(paths: CgroupPaths): boolean {
  const v1 = paths.v1.get("freezer");
  const file =
    v1 === undefined ? paths.unified && `${paths.unified}/cgroup.freeze` : `${v1}/freezer.self_freezing`;
  if (file === undefined) return false;
  try {
    return readFileSync(file, "utf8").startsWith("1");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/**
 * freezer-subsystem.rst: a process that is just being forked or moved in can leave the state at FREEZING for ever; writing
 * FROZEN again makes the kernel look again, and thawing now and then frees what two freezers hold in turn.
 */
function freezeV1(directory: string): (attempt: number) => boolean {
  const state = `${directory}/freezer.state`;
  return (attempt) => {
    if (attempt % 50 === 49) native.writeFiles([state, "THAWED"]);
    native.writeFiles([state, "FROZEN"]);
    return readFileSync(state, "utf8").startsWith("FROZEN");
  };
}

function freezeV2(directory: string): (attempt: number) => boolean {
  native.writeFiles([`${directory}/cgroup.freeze`, "1"]);
  return () => readFileSync(`${directory}/cgroup.events`, "utf8").includes("frozen 1");
}

function unifiedOf(paths: CgroupPaths): string {
  if (paths.unified !== undefined) return paths.unified;
  const mount = paths.absent.get("freezer") ?? paths.absent.get("");
  throw new TandemError(
    "failed_precondition",
    mount === undefined
      ? "no freezer controller is mounted"
      : `cannot be paused, it has no cgroup in ${mount}: ${whyAbsent()}`,
  );
}
