import { type Command, containerId } from "../command.ts";
import { LiveContainer } from "../live-container.ts";

export const pause: Command = {
  summary: "stop every process of a container until `resume`",
  operands: "ID",
  flags: {},
  run: async (context) => {
    const id = containerId(context);
    const find = (): LiveContainer => LiveContainer.find(context.store, id, "created", "running");
    await context.alone(async () => find().cgroup.freeze(), find);
    return 0;
  },
};

export const resume: Command = {
  summary: "let a paused container go on",
  operands: "ID",
  flags: {},
  run: async (context) => {
    const id = containerId(context);
    const find = (): LiveContainer => LiveContainer.find(context.store, id, "paused");
    await context.alone(async () => find().cgroup.thaw(), find);
    return 0;
  },
};
