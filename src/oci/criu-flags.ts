import type { CriuSettings } from "../criu/settings.ts";
import { TandemError } from "../errors.ts";
import { type Context, clientPath } from "./command.ts";
import type { Flags } from "./flags.ts";

/** Options that `checkpoint` and `restore` share. */
export const criuFlags: Flags = {
  "image-path": { value: "DIR", help: "the checkpoint; `checkpoint` in the working directory unless given" },
  "work-path": { value: "DIR", help: "where criu's log goes; beside the images unless given" },
  "tcp-established": { help: "with open TCP connections" },
  "ext-unix-sk": { help: "with unix sockets whose other side is outside" },
  "shell-job": { help: "with a terminal that belongs to somebody outside" },
  "file-locks": { help: "with file locks" },
  "auto-dedup": { help: "leave out what is in the parent's images already" },
  "lazy-pages": { help: "move memory only when it is touched (userfaultfd)" },
  "manage-cgroups-mode": { value: "MODE", help: "soft, full, strict or ignore" },
  "empty-ns": {
    value: "network",
    many: true,
    help: "accepted for runc's sake: a network comes back empty in any case",
  },
};

/** @throws TandemError invalid_argument */
export function criuSettings(context: Context): CriuSettings {
  const { given } = context;
  for (const type of given.all("empty-ns"))
    if (type !== "network") throw new TandemError("invalid_argument", `--empty-ns ${type}: network only`);
  const work = given.text("work-path");
  return {
    imagePath: clientPath(context, given.text("image-path") || "checkpoint"),
    workPath: work === undefined || work === "" ? undefined : clientPath(context, work),
    tcpEstablished: given.has("tcp-established"),
    externalUnixSockets: given.has("ext-unix-sk"),
    shellJob: given.has("shell-job"),
    fileLocks: given.has("file-locks"),
    autoDedup: given.has("auto-dedup"),
    lazyPages: given.has("lazy-pages"),
    cgroupsMode: given.text("manage-cgroups-mode") ?? "",
  };
}
