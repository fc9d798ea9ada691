import { TandemError } from "../../errors.ts";
import { runHooks } from "../../executor/hooks.ts";
import { followStart } from "../../executor/init-process.ts";
import { InitSocket } from "../../executor/init-socket.ts";
import { sendListener } from "../../executor/seccomp-agent.ts";
import { type Command, containerId } from "../command.ts";
import { deleteContainer } from "../delete-container.ts";
import { LiveContainer } from "../live-container.ts";

export const start: Command = {
  summary: "start the program of a created container",
  operands: "ID",
  exclusive: true,
  flags: {},
  run: async (context) => {
    const { store } = context;
    const container = new LiveContainer(store, containerId(context));
    container.requireStatus("created");
    const { record } = container;
    const socket = new InitSocket(store.connectForStart(record.id));
    store.started(record.id);
    socket.send("start");
    await followStart(socket, (fd) => sendListener(fd, record, record.pid));
    try {
      await runHooks("poststart", record, record.pid, { environment: context.call.env });
    } catch (error) {
      // The container ends, and is destroyed (runtime-spec, runtime.md "Lifecycle" 9).
      await deleteContainer(container, context);
      throw TandemError.from(error, `container ${record.id}`);
    }
    return 0;
  },
};
