import { closeSync } from "node:fs";
import { exactJson } from "../../bundle/exact-json.ts";
import { TandemError } from "../../errors.ts";
import { native } from "../../native.ts";
import { type Command, containerId } from "../command.ts";
import { parseDuration } from "../durations.ts";
import { LiveContainer } from "../live-container.ts";

export const events: Command = {
  summary: "print what a container uses, again and again, and each time it runs out of memory",
  operands: "ID",
  flags: {
    interval: { value: "DURATION", help: "time between two looks; 5s unless given" },
    stats: { help: "print once what it uses" },
  },
  run: async (context) => {
    const { call, given, store, warn } = context;
    const container = new LiveContainer(store, containerId(context));
    const intervalMs = parseDuration("interval", given.text("interval") ?? "5s");
    container.requireStatus("created", "running", "paused");
    const { id } = container.record;
    const print = (type: string, data?: unknown): void => call.write(`${exactJson({ type, id, data })}\n`);
    const printUsage = (): void => print("stats", usageOf(container));
    // Without a cgroup there is nothing to follow either, and the attempt says why.
    if (given.has("stats") || container.record.cgroups.length === 0) printUsage();
    else {
      await follow(container, call.signal, {
        intervalMs,
        tick: () => {
          try {
            printUsage();
          } catch (error) {
            // Its cgroup was removed a moment before its end was seen.
            warn(TandemError.from(error).message);
          }
        },
        oom: () => print("oom"),
      });
    }
    return 0;
  },
};

/** As `runc events` prints it; it knows no network interfaces but its own, which there are none of. */
function usageOf({ cgroup }: LiveContainer): unknown {
  return { ...cgroup.usage(), intel_rdt: {}, network_interfaces: null };
}

interface Listener {
  readonly intervalMs: number;
  tick(): void;
  oom(): void;
}

/** Until the container has ended or nobody listens any more. */
async function follow(container: LiveContainer, gone: AbortSignal, listener: Listener): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { cgroup } = container;
  let reported = cgroup.oomKills();
  const look = (): void => {
    const kills = cgroup.oomKills();
    if (kills <= reported) return;
    reported = kills;
    listener.oom();
  };
  const stopWatching = cgroup.watchOom(() => {
    reported = Math.max(reported, cgroup.oomKills());
    listener.oom();
  });
  const end = watchEnd(container, resolve);
  gone.addEventListener("abort", () => resolve(), { once: true });
  const timer = setInterval(() => listener.tick(), listener.intervalMs);
  try {
    await promise;
    // The kill that ended it may not have been heard of yet.
    look();
  } finally {
    clearInterval(timer);
    end();
    stopWatching();
  }
}

/** Calls back when the container's init has ended, until the returned function is called. */
function watchEnd(container: LiveContainer, ended: () => void): () => void {
  let pidfd: number;
  try {
    pidfd = native.pidfdOpen(container.record.pid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    ended();
    return () => undefined;
  }
  const stop = native.onReadable(pidfd, ended);
  if (!container.isAlive) ended();
  return () => {
    stop();
    closeSync(pidfd);
  };
}
