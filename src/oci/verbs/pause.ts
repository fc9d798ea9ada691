import { type Command, containerId } from "../command.ts";
import { LiveContainer } from "../live-container.ts";

export const pause: Command = {
  summary: "stop every process of a container until `resume`",
  operands: "ID",
  flags: {},
  run: async (context) => {
    const id = containerId(context);
    await context.alone(async () => {
      const container = new LiveContainer(context.store, id);
      container.requireStatus("created", "running");
      container.cgroup.freeze();
    });
    return 0;
  },
};

export const resume: Command = {
  summary: "let a paused container go on",
  operands: "ID",
  flags: {},
  run: async (context) => {
    const id = containerId(context);
    await context.alone(async () => {
      const container = new LiveContainer(context.store, id);
      container.requireStatus("paused");
      container.cgroup.thaw();
    });
    return 0;
  },
};
