import type { Spec } from "../../bundle/spec.ts";
import { runHooks } from "../../executor/hooks.ts";
import type { Command, Context } from "../command.ts";
import { type CreatedContainer, createContainer, createFlags } from "../create-container.ts";
import { deleteContainer } from "../delete-container.ts";
import { LiveContainer } from "../live-container.ts";

export const run: Command = {
  summary: "create and start a container, and delete it when it has ended",
  operands: "ID",
  flags: {
    ...createFlags,
    detach: { short: "d", help: "return once the program runs" },
    keep: { help: "do not delete it when it has ended" },
    "no-subreaper": {
      help: "accepted for runc's sake: the container is a child of this process in any case",
    },
  },
  run: async (context) => {
    const detach = context.given.has("detach");
    const created = await createContainer(context, (spec) => ({ start: starterOf(spec), detach }));
    try {
      await created.init.start();
      await runHooks("poststart", created.record, created.init.pid, { environment: context.call.env });
    } catch (error) {
      // Also after poststart (runtime-spec, runtime.md "Lifecycle" 9).
      await end(context, created);
      throw error;
    }
    if (detach) {
      created.init.leave();
      return 0;
    }
    const status = await context.call.waitForChild(created.init.pid, created.init.console);
    if (!context.given.has("keep")) await end(context, created);
    return status;
  },
};

/** What has to be done from outside before the program runs makes it wait for us. */
function starterOf({ process }: Spec): "itself" | "here" {
  return process?.terminal === true || process?.oomScoreAdj !== undefined ? "here" : "itself";
}

async function end(context: Context, { record }: CreatedContainer): Promise<void> {
  await deleteContainer(new LiveContainer(context.store, record.id, record), context);
}
