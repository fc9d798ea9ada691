import { TandemError } from "../../errors.ts";
import { runHooks } from "../../executor/hooks.ts";
import { followStart } from "../../executor/init-process.ts";
import { InitSocket } from "../../executor/init-socket.ts";
import { sendListener } from "../../executor/seccomp-agent.ts";
import { SIGKILL } from "../../signals.ts";
import { type Command, type Context, containerId } from "../command.ts";
import { deleteIfThere } from "../delete-container.ts";
import { LiveContainer } from "../live-container.ts";
import { orEnd } from "../or-end.ts";

export const start: Command = {
  summary: "start the program of a created container",
  operands: "ID",
  flags: {},
  run: async (context) => {
    const { store, call } = context;
    const id = containerId(context);
    const find = (): LiveContainer => LiveContainer.find(store, id, "created");
    await context.interruptible(async () => {
      const container = await context.alone(() => startContainer(find(), context), find);
      const { record } = container;
      const options = { environment: call.env, signal: call.interrupted };
      try {
        // They may do something to the container by other calls.
        await runHooks("poststart", record, record.pid, options);
        call.interrupted.throwIfAborted();
      } catch (error) {
        // The container ends, and is destroyed (runtime-spec, runtime.md "Lifecycle" 9).
        if (!call.interrupted.aborted) await context.alone(() => deleteIfThere(container, context));
        throw TandemError.from(error, `container ${id}`);
      }
    });
    return 0;
  },
};

async function startContainer(container: LiveContainer, { call }: Context): Promise<LiveContainer> {
  const { record, store } = container;
  const socket = new InitSocket(store.connectForStart(record.id));
  store.started(record.id);
  socket.send("start");
  // A hook inside may not come to an end: then the container has to.
  const end = (): void => void container.signalIfAlive(SIGKILL);
  await orEnd(call.interrupted, end, () => followStart(socket, (fd) => sendListener(fd, record, record.pid)));
  return container;
}
