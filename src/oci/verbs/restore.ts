import { closeSync, readlinkSync } from "node:fs";
import { loadSpec, type Spec } from "../../bundle/spec.ts";
import { findCriu } from "../../criu/find-criu.ts";
import type { RestoreSettings } from "../../criu/restore.ts";
import { TandemError } from "../../errors.ts";
import { runHooks } from "../../executor/hooks.ts";
import type { Cgroup } from "../../isolation/cgroup.ts";
import { native } from "../../native.ts";
import { SIGKILL } from "../../signals.ts";
import { recordFirst } from "../bring-to-created.ts";
import { type Command, type Context, clientPath, containerId } from "../command.ts";
import { consoleFlags, requireConsole, sendConsole } from "../console.ts";
import { openContainerCgroup } from "../container-cgroup.ts";
import { criuFlags, criuSettings } from "../criu-flags.ts";
import { deleteContainer } from "../delete-container.ts";
import { LiveContainer } from "../live-container.ts";
import { pidFileFlags, writePidFile } from "../pid-file.ts";
import type { ContainerRecord } from "../record.ts";
import { startTimeOf } from "../recorded-process.ts";
import type { Identity } from "../store.ts";

export const restore: Command = {
  summary: "make a container from a checkpoint and let it go on",
  operands: "ID",
  flags: {
    bundle: { value: "DIR", short: "b", help: "the bundle; the working directory unless given" },
    ...consoleFlags,
    ...pidFileFlags,
    detach: { short: "d", help: "return once it runs" },
    "no-subreaper": {
      help: "accepted for runc's sake: the container is a child of this process in any case",
    },
    "no-pivot": { help: "accepted for runc's sake: criu makes the root" },
    "lsm-profile": {
      value: "TYPE:NAME",
      help: "AppArmor profile or SELinux label instead of the checkpoint's",
    },
    "lsm-mount-context": { value: "CONTEXT", help: "SELinux context of mounts instead of the checkpoint's" },
    ...criuFlags,
  },
  run: async (context) => {
    const { given, call, store } = context;
    const detach = given.has("detach");
    const { record, terminal, directory } = await context.alone(
      () => restoreContainer(context, detach),
      () => store.requireFree(containerId(context)),
    );
    if (detach) {
      if (terminal !== undefined) closeSync(terminal);
      return 0;
    }
    const status = await call.waitForChild(record.pid, terminal);
    await context.alone(async () => {
      // Unless somebody has done so already: another of the same id may be there by now.
      if (store.isStill(record.id, directory))
        await deleteContainer(new LiveContainer(store, record.id, record), context);
    });
    return status;
  },
};

interface Restored {
  /** By which it is known from another of the same id, later. */
  readonly directory: Identity;
  readonly record: ContainerRecord;
  /** Master of its terminal, if nobody else has it. */
  readonly terminal: number | undefined;
}

/** On failure nothing of it is left. @throws TandemError */
async function restoreContainer(context: Context, detach: boolean): Promise<Restored> {
  const { given, store, call } = context;
  const id = containerId(context);
  const bundle = clientPath(context, given.text("bundle") ?? ".");
  const spec = loadSpec(bundle);
  requireConsole(context, spec.process?.terminal === true, detach);
  const criu = findCriu(context.criu, call.env.get("PATH"));
  const settings = settingsOf(context);
  const directory = store.reserve(id);
  context.made.add(store.directory(id), directory);
  let cgroup: Cgroup | undefined;
  try {
    cgroup = await openContainerCgroup(context, id, spec);
    const record = recordFirst(context, { id, bundle, spec, cgroup });
    return { directory, ...(await revive(context, { criu, settings, record, cgroup })) };
  } catch (error) {
    cgroup?.kill(SIGKILL);
    await cgroup?.remove();
    store.remove(id, directory);
    throw error;
  }
}

interface Parts {
  readonly criu: string;
  readonly settings: RestoreSettings;
  readonly record: ContainerRecord;
  readonly cgroup: Cgroup;
}

async function revive(
  context: Context,
  { criu, settings, record, cgroup }: Parts,
): Promise<Omit<Restored, "directory">> {
  const { store, call } = context;
  const { signal } = call;
  const terminal: { console: number | undefined } = { console: undefined };
  let criuProcess: { readonly pid: number; readonly pidfd: number } | undefined;
  try {
    const { restore: undump } = await import("../../criu/restore.ts");
    const pid = await undump(
      { ...record, directory: store.directory(record.id) },
      settings,
      {
        execute: async (fds) => {
          criuProcess = await call.execute(criu, ["swrk", "3"], fds);
          return criuProcess;
        },
        enterCgroup: (criuPid) => cgroup.add(criuPid),
        onNamespaces: async (initPid) => {
          const options = { signal, environment: call.env };
          await runHooks("prestart", record, initPid, options);
          await runHooks("createRuntime", record, initPid, options);
        },
        onTerminal: (master) => {
          terminal.console = master;
        },
      },
      signal,
    );
    await cgroup.settle();
    const complete = {
      ...record,
      pid,
      startTime: startTimeOf(pid),
      complete: true,
      spec: withTimeNamespace(record.spec, pid),
    };
    store.save(complete);
    sendConsole(context, terminal);
    if (criuProcess !== undefined) await call.waitForChild(criuProcess.pid, undefined);
    writePidFile(context, pid);
    return { record: complete, terminal: terminal.console };
  } catch (error) {
    if (criuProcess !== undefined) killQuietly(criuProcess.pidfd);
    if (terminal.console !== undefined) closeSync(terminal.console);
    throw error;
  } finally {
    if (criuProcess !== undefined) closeSync(criuProcess.pidfd);
  }
}

function settingsOf(context: Context): RestoreSettings {
  const { given } = context;
  return {
    ...criuSettings(context),
    lsmProfile: given.text("lsm-profile"),
    lsmMountContext: given.text("lsm-mount-context"),
  };
}

/** criu gives clocks that go on where they were, by a time namespace; an exec must find it. */
function withTimeNamespace(spec: Spec, pid: number): Spec {
  const namespaces = spec.linux?.namespaces ?? [];
  if (namespaces.some(({ type }) => type === "time")) return spec;
  if (readlinkSync(`/proc/${pid}/ns/time`) === readlinkSync("/proc/self/ns/time")) return spec;
  return { ...spec, linux: { ...spec.linux, namespaces: [...namespaces, { type: "time" }] } };
}

function killQuietly(pidfd: number): void {
  try {
    native.pidfdSendSignal(pidfd, SIGKILL);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw TandemError.from(error, "criu");
  }
}
