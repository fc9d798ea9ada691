import type { Command } from "../command.ts";
import { createContainer, createFlags } from "../create-container.ts";

export const create: Command = {
  summary: "create a container; its program waits for `start`",
  operands: "ID",
  flags: createFlags,
  run: async (context) => {
    const { init } = await context.alone(() =>
      createContainer(context, () => ({ start: "later", detach: true })),
    );
    init.leave();
    return 0;
  },
};
