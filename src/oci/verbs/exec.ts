import { parseProcess, type SpecProcess } from "../../bundle/spec.ts";
import { TandemError } from "../../errors.ts";
import { createExec } from "../../executor/linux-init.ts";
import { ownRights } from "../../rights.ts";
import { type Command, type Context, readClientFile } from "../command.ts";
import { consoleFlags, requireConsole, sendConsole } from "../console.ts";
import { LiveContainer } from "../live-container.ts";
import { pidFileFlags, writePidFile } from "../pid-file.ts";
import { pidfdFlags, sendPidfd } from "../pidfd-socket.ts";
import { preservedDescriptors } from "../preserved-descriptors.ts";
import { parseSubCgroups, subCgroup } from "../sub-cgroup.ts";

const EXEC_TIMEOUT_MS = 60_000;

export const exec: Command = {
  summary: "run another process in a container",
  operands: "ID COMMAND [ARG…]",
  inOrder: true,
  // runc's, so that it is not taken for the process's own.
  failure: 255,
  flags: {
    ...consoleFlags,
    process: { value: "FILE", short: "p", help: "the process as JSON, in place of a command" },
    detach: { short: "d", help: "return once the process runs" },
    ...pidFileFlags,
    tty: { short: "t", help: "with a terminal" },
    cwd: { value: "DIR", help: "working directory" },
    env: { value: "NAME=VALUE", short: "e", many: true, help: "environment variable" },
    user: { value: "UID[:GID]", short: "u", help: "as this user" },
    "additional-gids": { value: "GID", short: "g", many: true, help: "further groups" },
    cap: { value: "CAP", short: "c", many: true, help: "further capability" },
    "process-label": { value: "LABEL", help: "SELinux label" },
    apparmor: { value: "PROFILE", help: "AppArmor profile" },
    "no-new-privs": { help: "set no_new_privs" },
    ...pidfdFlags,
    "preserve-fds": { value: "N", help: "hand on N more descriptors, from 3 on" },
    cgroup: { value: "PATH", many: true, help: "cgroup below the container's, [controller:]path" },
    "ignore-paused": { help: "also in a paused container, where it waits" },
    "no-subreaper": { help: "accepted for runc's sake: the process is a child of this one in any case" },
  },
  run: runExec,
};

async function runExec(context: Context): Promise<number> {
  const { given, call, store } = context;
  const [id] = given.operands;
  if (id === undefined) throw new TandemError("invalid_argument", "container id: is missing");
  const container = new LiveContainer(store, id);
  requireRunning(container, given.has("ignore-paused"));
  const { preserved, env } = preservedDescriptors(context);
  const process = await processOf(context, container);
  const detach = given.has("detach");
  requireConsole(context, process.terminal === true, detach);
  const { record } = container;
  const cgroup = subCgroup(container.cgroup, parseSubCgroups(given.all("cgroup")));
  // What has to be done from outside before the program runs makes it wait for us.
  const byItself = process.terminal !== true && process.oomScoreAdj === undefined;
  const init = await createExec(
    { ...context.host({ preserved, wait: byItself && !detach }), noNewKeyring: record.noNewKeyring },
    { ...record, cgroup, confirm: () => requireRunning(container, given.has("ignore-paused")) },
    {
      process: { ...process, env: [...(process.env ?? []), ...env] },
      stdio: process.terminal === true ? undefined : { stdin: 0, stdout: 1, stderr: 2 },
      signal: AbortSignal.any([call.signal, AbortSignal.timeout(EXEC_TIMEOUT_MS)]),
      ...(byItself ? { starter: "itself" as const } : {}),
    },
  );
  try {
    sendConsole(context, init);
    sendPidfd(context, init.pid);
    await init.start();
    writePidFile(context, init.pid);
  } catch (error) {
    await init.destroy();
    throw error;
  }
  if (!detach) return await call.waitForChild(init.pid, init.console);
  init.leave();
  return 0;
}

function requireRunning(container: LiveContainer, evenPaused: boolean): void {
  const { status, record } = container;
  // container-init lets nobody look into it, and who is not root cannot enter the namespaces of such a process.
  if (status === "created" && !ownRights().root)
    throw new TandemError(
      "failed_precondition",
      `container ${record.id}: is created: only root can exec in it before it is started`,
    );
  if (status === "created" || status === "running" || (status === "paused" && evenPaused)) return;
  const text = status === "stopped" ? "container not running" : `is ${status}: cannot exec in it`;
  throw new TandemError("failed_precondition", `container ${record.id}: ${text}`);
}

/** The process of `--process`, or the container's own with another command. */
async function processOf(context: Context, { record }: LiveContainer): Promise<SpecProcess> {
  const { given } = context;
  const file = given.text("process");
  if (file !== undefined) {
    const process = await readProcess(context, file);
    return given.has("tty") ? { ...process, terminal: true } : process;
  }
  const base = record.spec.process;
  const args = given.operands.slice(1);
  if (base === undefined || args.length === 0)
    throw new TandemError("invalid_argument", "exec: names no command; give one, or --process");
  const { consoleSize: _, ...rest } = base;
  return parseProcess({
    ...rest,
    args,
    terminal: given.has("tty"),
    cwd: given.text("cwd") ?? base.cwd,
    env: [...(base.env ?? []), ...given.all("env")],
    user: userOf(context, base),
    capabilities: withCapabilities(base.capabilities, given.all("cap")),
    ...(given.has("no-new-privs") ? { noNewPrivileges: true } : {}),
    ...(given.text("apparmor") === undefined ? {} : { apparmorProfile: given.text("apparmor") }),
    ...(given.text("process-label") === undefined ? {} : { selinuxLabel: given.text("process-label") }),
  });
}

async function readProcess(context: Context, file: string): Promise<SpecProcess> {
  let json: unknown;
  try {
    json = JSON.parse(await readClientFile(context, file));
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new TandemError("invalid_argument", `--process ${file}: is not JSON`);
    throw TandemError.from(error, "--process");
  }
  return parseProcess(json);
}

function userOf({ given }: Context, base: SpecProcess): SpecProcess["user"] {
  const text = given.text("user");
  const groups = given.all("additional-gids");
  const user = base.user ?? {};
  const additional =
    groups.length === 0 ? {} : { additionalGids: [...(user.additionalGids ?? []), ...groups.map(Number)] };
  if (text === undefined) return { ...user, ...additional };
  const match = /^(\d+)(?::(\d+))?$/.exec(text);
  if (match === null) throw new TandemError("invalid_argument", `--user ${text}: is UID[:GID], in numbers`);
  return {
    ...user,
    uid: Number(match[1]),
    gid: match[2] === undefined ? (user.gid ?? 0) : Number(match[2]),
    ...additional,
  };
}

/** `--cap` adds to every set but the inheritable one, as with runc; ambient is then what is inheritable as well. */
function withCapabilities(
  base: SpecProcess["capabilities"],
  added: readonly string[],
): SpecProcess["capabilities"] {
  if (added.length === 0) return base;
  const plus = (set: readonly string[] | undefined): string[] => [...(set ?? []), ...added];
  return {
    ...base,
    bounding: plus(base?.bounding),
    effective: plus(base?.effective),
    permitted: plus(base?.permitted),
    ambient: plus(base?.ambient),
  };
}
