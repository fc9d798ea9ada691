import type { Spec } from "../../bundle/spec.ts";
import { runHooks } from "../../executor/hooks.ts";
import { bringToCreated, type CreatedContainer, createFlags } from "../bring-to-created.ts";
import { type Command, type Context, containerId } from "../command.ts";
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
    const created = await context.interruptible(() => begin(context, detach));
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

async function begin(context: Context, detach: boolean): Promise<CreatedContainer> {
  const { store, call } = context;
  const id = containerId(context);
  const created = await context.alone(
    () => createAndStart(context, detach),
    () => store.requireFree(id),
  );
  const options = { environment: call.env, signal: call.interrupted };
  try {
    // They may do something to the container by other calls.
    await runHooks("poststart", created.record, created.init.pid, options);
    call.interrupted.throwIfAborted();
  } catch (error) {
    // Also after poststart (runtime-spec, runtime.md "Lifecycle" 9).
    if (!call.interrupted.aborted) await context.alone(() => end(context, created));
    throw error;
  }
  return created;
}

async function createAndStart(context: Context, detach: boolean): Promise<CreatedContainer> {
  const created = await bringToCreated(context, (spec) => ({ start: starterOf(spec), detach }));
  const { init } = created;
  const endInit = (): void => void init.end();
  try {
    await orEnd(context.call.interrupted, endInit, () => init.start());
    return created;
  } catch (error) {
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
