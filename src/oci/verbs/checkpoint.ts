import { closeSync, constants, openSync, statSync, writeSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import type { CheckpointSettings } from "../../criu/checkpoint.ts";
import { findCriu } from "../../criu/find-criu.ts";
import { TandemError } from "../../errors.ts";
import { type Command, type Context, containerId } from "../command.ts";
import { criuFlags, criuSettings } from "../criu-flags.ts";
import { deleteContainer } from "../delete-container.ts";
import { LiveContainer } from "../live-container.ts";

export const checkpoint: Command = {
  summary: "write a running container to disk with criu, and delete it",
  operands: "ID",
  flags: {
    ...criuFlags,
    "parent-path": { value: "DIR", help: "images of an earlier --pre-dump, relative to --image-path" },
    "leave-running": { help: "let it run on" },
    "pre-dump": { help: "its memory only, and let it run on" },
    "tcp-skip-in-flight": { help: "leave out TCP connections that are being made" },
    "link-remap": { help: "link files that were removed but are open, if that is possible" },
    "page-server": { value: "HOST:PORT", help: "send memory there" },
    "status-fd": { value: "FD", help: "descriptor that gets a 0 byte when lazy pages can be fetched" },
  },
  run: async (context) => {
    const id = containerId(context);
    const criu = findCriu(context.criu, context.call.env.get("PATH"));
    const settings = settingsOf(context);
    const { checkpoint: dump } = await import("../../criu/checkpoint.ts");
    const find = (): LiveContainer => LiveContainer.find(context.store, id, "running", "paused");
    await context.alone(async () => {
      const container = find();
      await dump(criu, container.record, settings, context.call.signal);
      if (!settings.leaveRunning && !settings.preDump) await deleteContainer(container, context);
    }, find);
    return 0;
  },
};

function settingsOf(context: Context): CheckpointSettings {
  const { given } = context;
  const common = criuSettings(context);
  const parentPath = given.text("parent-path") ?? "";
  requireParent(common.imagePath, parentPath);
  const statusFd = given.number("status-fd");
  return {
    ...common,
    parentPath,
    leaveRunning: given.has("leave-running"),
    preDump: given.has("pre-dump"),
    tcpSkipInFlight: given.has("tcp-skip-in-flight"),
    linkRemap: given.has("link-remap"),
    pageServer: parsePageServer(given.text("page-server")),
    ...(statusFd === undefined || statusFd < 0 ? {} : { onReady: () => tellReady(context, statusFd) }),
  };
}

/** criu takes it relative to the images, so that both can be moved together. */
function requireParent(imagePath: string, parentPath: string): void {
  if (parentPath === "") return;
  if (isAbsolute(parentPath))
    throw new TandemError("invalid_argument", `--parent-path ${parentPath}: is relative to --image-path`);
  const status = statSync(join(imagePath, parentPath), { throwIfNoEntry: false });
  if (status?.isDirectory() !== true)
    throw new TandemError("invalid_argument", `--parent-path ${parentPath}: is no directory in --image-path`);
}

/** @throws TandemError invalid_argument */
function parsePageServer(text: string | undefined): CheckpointSettings["pageServer"] {
  if (text === undefined || text === "") return undefined;
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const address = match?.[1] ?? match?.[2];
  if (address === undefined) throw new TandemError("invalid_argument", `--page-server ${text}: is HOST:PORT`);
  return { address, port: Number(match?.[3]) };
}

/** The descriptor is the client's. */
function tellReady({ call, warn }: Context, statusFd: number): void {
  try {
    const fd = call.lookAtClient(
      (pid) => openSync(`/proc/${pid}/fd/${statusFd}`, constants.O_WRONLY),
      closeSync,
    );
    try {
      writeSync(fd, Buffer.of(0));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    warn(TandemError.from(error, "--status-fd").message);
  }
}
