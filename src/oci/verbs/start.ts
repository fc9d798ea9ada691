import { TandemError } from "../../errors.ts";
import { runHooks } from "../../executor/hooks.ts";
import { followStart } from "../../executor/init-process.ts";
import { InitSocket } from "../../executor/init-socket.ts";
import { sendListener } from "../../executor/seccomp-agent.ts";
import { SIGKILL } from "../../signals.ts";
import { type Command, type Context, containerId } from "../command.ts";
import { deleteContainer } from "../delete-container.ts";
import { LiveContainer } from "../live-container.ts";
import { orEnd } from "../or-end.ts";

export const start: Command = {
  summary: "start the program of a created container",
  operands: "ID",
  flags: {},
  run: async (context) => {
    const id = containerId(context);
    await context.alone(() => startContainer(new LiveContainer(context.store, id), context));
    return 0;
  },
};

async function startContainer(container: LiveContainer, context: Context): Promise<void> {
  const { record, store } = container;
  const { interrupted, env } = context.call;
  container.requireStatus("created");
  const socket = new InitSocket(store.connectForStart(record.id));
  store.started(record.id);
  socket.send("start");
  const end = (): void => void container.signalIfAlive(SIGKILL);
  await orEnd(interrupted, end, () => followStart(socket, (fd) => sendListener(fd, record, record.pid)));
  try {
    await runHooks("poststart", record, record.pid, { environment: env, signal: interrupted });
    interrupted.throwIfAborted();
  } catch (error) {
    // The container ends, and is destroyed (runtime-spec, runtime.md "Lifecycle" 9).
    await deleteContainer(container, context);
    throw TandemError.from(error, `container ${record.id}`);
  }
}
