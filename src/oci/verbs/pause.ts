import { type Command, containerId } from "../command.ts";
import { LiveContainer } from "../live-container.ts";

export const pause: Command = {
  summary: "stop every process of a container until `resume`",
  operands: "ID",
  flags: {},
  run: async (context) => {
    const container = new LiveContainer(context.store, containerId(context));
    container.requireStatus("created", "running");
    container.cgroup.freeze();
    return 0;
  },
};

export const resume: Command = {
  summary: "let a paused container go on",
  operands: "ID",
  flags: {},
  run: async (context) => {
    const container = new LiveContainer(context.store, containerId(context));
    container.requireStatus("paused");
    container.cgroup.thaw();
    return 0;
  },
};
