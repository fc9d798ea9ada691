import { bringToCreated, createFlags } from "../bring-to-created.ts";
import { type Command, containerId } from "../command.ts";

export const create: Command = {
  summary: "create a container; its program waits for `start`",
  operands: "ID",
  flags: createFlags,
  run: async (context) => {
    const id = containerId(context);
    const { init } = await context.alone(
      () => bringToCreated(context, () => ({ start: "later", detach: true })),
      () => context.store.requireFree(id),
    );
    init.leave();
    return 0;
  },
};
