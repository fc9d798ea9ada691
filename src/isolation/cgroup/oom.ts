import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { native } from "../../native.ts";
import type { CgroupPaths } from "./paths.ts";
import { isGone, readIfThere } from "./processes.ts";

/** How many processes of the cgroup the OOM killer has killed so far; 0 for a cgroup that is gone. */
export function oomKills(paths: CgroupPaths): number {
  const memory = paths.v1.get("memory");
  // v1 has the line since Linux 4.13.
  const text =
    memory === undefined
      ? readIfThere(`${paths.unified}/memory.events`)
      : readIfThere(`${memory}/memory.oom_control`);
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}

/**
 * Calls back each time the number of OOM kills has grown, or, where the OOM killer is off, each time the cgroup stands still
 * for want of memory, until the returned function is called. Without a memory controller it never does.
 */
export function watchOom(paths: CgroupPaths, callback: () => void): () => void {
  const memory = paths.v1.get("memory");
  if (memory !== undefined) return watchV1(memory, paths, callback);
  return watchV2(paths, callback);
}

function watchV1(directory: string, paths: CgroupPaths, callback: () => void): () => void {
  const event = native.oomEventFd(directory);
  const drained = Buffer.alloc(8);
  let timer: NodeJS.Timeout | undefined;
  let reported = oomKills(paths);
  // The event comes before the kill, and also when the cgroup is removed: wait a moment for the counter to say which.
  const look = (attempts: number) => {
    const kills = oomKills(paths);
    if (kills > reported) {
      reported = kills;
      callback();
    } else if (isStandingStill(directory)) callback();
    else if (attempts > 0) timer = setTimeout(look, 10, attempts - 1).unref();
  };
  const stop = native.onReadable(event, () => {
    try {
      readSync(event, drained);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
    clearTimeout(timer);
    look(20);
  });
  return stopper(event, stop, () => clearTimeout(timer));
}

function isStandingStill(directory: string): boolean {
  const control = readIfThere(`${directory}/memory.oom_control`);
  return control.includes("oom_kill_disable 1") && control.includes("under_oom 1");
}

/** kernfs wakes a poll for POLLPRI when memory.events changes, once per read of the same open file. */
function watchV2(paths: CgroupPaths, callback: () => void): () => void {
  let events: number;
  try {
    events = openSync(`${paths.unified}/memory.events`, "r");
  } catch (error) {
    if (isGone(error)) return () => undefined;
    throw error;
  }
  let reported = oomKills(paths);
  readFileSync(events);
  const stop = native.onReadable(events, () => {
    rearm(events);
    const kills = oomKills(paths);
    if (kills <= reported) return;
    reported = kills;
    callback();
  });
  return stopper(events, stop, () => undefined);
}

function rearm(events: number): void {
  try {
    readSync(events, Buffer.alloc(1), { position: 0 });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** libuv must let go of the descriptor before its number can be used again. */
function stopper(fd: number, stop: () => void, cleanUp: () => void): () => void {
  let live = true;
  return () => {
    if (!live) return;
    live = false;
    cleanUp();
    stop();
    closeSync(fd);
  };
}
