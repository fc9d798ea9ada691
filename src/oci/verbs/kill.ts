import { TandemError } from "../../errors.ts";
import { SIGKILL } from "../../signals.ts";
import { type Command, containerId } from "../command.ts";
import { LiveContainer } from "../live-container.ts";
import { parseSignal } from "../parse-signal.ts";

export const kill: Command = {
  summary: "send a signal, SIGTERM unless given, to a container's init",
  operands: "ID [SIGNAL]",
  flags: { all: { short: "a", help: "to every process of the container" } },
  run: async (context) => {
    const { given } = context;
    const container = new LiveContainer(context.store, containerId(context, 2));
    const signal = parseSignal(given.operands[1] ?? "TERM");
    if (given.has("all")) {
      killAll(container, signal);
      return 0;
    }
    container.requireStatus("creating", "created", "running", "paused");
    container.kill(signal);
    // A frozen process dies only once it is thawed.
    if (signal === SIGKILL) container.cgroup.thaw();
    return 0;
  },
};

/** Also after init's end: in a pid namespace that it shares, others may be left. */
function killAll(container: LiveContainer, signal: number): void {
  if (!container.isAlive && container.pids().length === 0)
    throw new TandemError("failed_precondition", `container ${container.record.id}: container not running`);
  container.killAll(signal);
}
