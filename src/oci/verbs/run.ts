import type { Spec } from "../../bundle/spec.ts";
import { runHooks } from "../../executor/hooks.ts";
import type { Command, Context } from "../command.ts";
import { type CreatedContainer, createContainer, createFlags } from "../create-container.ts";
import { deleteContainer } from "../delete-container.ts";
import { LiveContainer } from "../live-container.ts";
import { orEnd } from "../or-end.ts";

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
    const created = await context.alone(() => createAndStart(context, detach));
    if (detach) {
      created.init.leave();
      return 0;
    }
    const status = await context.call.waitForChild(created.init.pid, created.init.console);
    if (!context.given.has("keep")) await context.alone(() => end(context, created));
    return status;
  },
};

/** What has to be done from outside before the program runs makes it wait for us. */
function starterOf({ process }: Spec): "itself" | "here" {
  return process?.terminal === true || process?.oomScoreAdj !== undefined ? "here" : "itself";
}

async function createAndStart(context: Context, detach: boolean): Promise<CreatedContainer> {
  const created = await createContainer(context, (spec) => ({ start: starterOf(spec), detach }));
  const { env, interrupted } = context.call;
  const { record, init } = created;
  try {
    await orEnd(
      interrupted,
      () => void init.end(),
      () => init.start(),
    );
    await runHooks("poststart", record, init.pid, { environment: env, signal: interrupted });
    interrupted.throwIfAborted();
    return created;
  } catch (error) {
    // Also after poststart (runtime-spec, runtime.md "Lifecycle" 9).
    await end(context, created);
    throw error;
  }
}

/** Unless somebody has done so already: another of the same id may be there by now. */
async function end(context: Context, { record, directory }: CreatedContainer): Promise<void> {
  const { store } = context;
  if (store.isStill(record.id, directory))
    await deleteContainer(new LiveContainer(store, record.id, record), context);
}
