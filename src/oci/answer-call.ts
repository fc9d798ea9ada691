import { join } from "node:path";
import { directories } from "../directories.ts";
import { TandemError } from "../errors.ts";
import { cgroupHierarchies, cgroupHierarchiesFrom } from "../executor/cgroup-hierarchies.ts";
import { cgroupLayoutAt } from "../isolation/cgroup/layout.ts";
import { features } from "../isolation/features.ts";
import { compileSeccomp } from "../isolation/seccomp.ts";
import type { Log } from "../log.ts";
import { ownRights } from "../rights.ts";
import { VERSION } from "../version.ts";
import type { ZygoteAddress } from "../zygote/client.ts";
import type { Call } from "./call.ts";
import { CallLog } from "./call-log.ts";
import type { Changes } from "./changes.ts";
import { type Command, type Context, clientPath } from "./command.ts";
import { commands } from "./commands.ts";
import { type Flags, type Given, parseFlags } from "./flags.ts";
import { commandHelp, generalHelp } from "./help.ts";
import type { MadeContainers } from "./made-containers.ts";
import { Store } from "./store.ts";

/** Options before the command. */
export const generalFlags: Flags = {
  root: { value: "DIR", help: `where containers are kept; ${Store.usual} unless given` },
  log: { value: "FILE", help: "also write errors and warnings there" },
  "log-format": { value: "FORMAT", help: "of that file: text or json" },
  debug: { help: "write what is done to that file, too" },
  "systemd-cgroup": { help: "have systemd make the cgroups; linux.cgroupsPath is slice:prefix:name" },
  "cgroup-manager": { value: "NAME", help: "cgroupfs, systemd or disabled, as crun spells it" },
  rootless: { value: "true|false|auto", help: "accepted for runc's sake: Tandem sees for itself" },
  criu: { value: "FILE", help: "the criu to use for checkpoint and restore" },
  version: { short: "v", help: "print the version" },
  help: { short: "h", help: "print this, or what a command takes" },
};

const helpFlag: Flags = { help: { short: "h", help: "print this" } };

/** What the server has for every call. */
export interface ServerParts {
  /** container-init, sealed. */
  readonly containerInit: number;
  /** Forks guests. */
  readonly zygote: ZygoteAddress;
  /** The zygote's. */
  readonly log: Log;
  /** Every `--root` that was ever asked about. */
  readonly roots: Set<string>;
  readonly made: MadeContainers;
  readonly changes: Changes;
}

/** Runs one command line and ends its client. */
export async function answerCall(call: Call, server: ServerParts): Promise<void> {
  let log = new CallLog(undefined, "text");
  let failure = 1;
  try {
    const { given: general, read } = withHint("", () => parseFlags(generalFlags, call.args, true));
    const path = general.text("log");
    log = new CallLog(
      path === undefined || path === "" ? undefined : clientPath({ call }, path),
      general.text("log-format") ?? "text",
    );
    const [name = "", ...args] = call.args.slice(read);
    if (general.has("version")) return await print(call, versionText());
    if (general.has("help") || name === "" || name === "help")
      return await print(call, generalHelp(generalFlags, commands));
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (command === undefined)
      throw new TandemError("invalid_argument", `unknown command ${name}; see tandem-oci --help`);
    failure = command.failure ?? 1;
    const { given, read: readArgs } = withHint(`${name} `, () =>
      parseFlags({ ...command.flags, ...helpFlag }, args, command.inOrder === true),
    );
    if (given.has("help")) return await print(call, commandHelp(name, command));
    withHint(`${name} `, () => requireOperands(command, args.slice(readArgs), given));
    if (general.has("debug")) log.add("debug", call.args.join(" "));
    await call.exit(
      await runCommand(command, {
        call,
        general,
        given: withRest(command, given, args, readArgs),
        log,
        server,
      }),
    );
  } catch (error) {
    await fail(call, log, TandemError.from(error).message, failure);
  }
}

/** What is wrong with the command line itself is looked up in the help. */
function withHint<T>(command: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code, message } = TandemError.from(error);
    throw new TandemError(code, `${message}; see tandem-oci ${command}--help`, { cause: error });
  }
}

/** @throws TandemError invalid_argument without a container's id, or with anything where nothing is expected */
function requireOperands({ operands }: Command, rest: readonly string[], given: Given): void {
  const [first] = [...given.operands, ...rest];
  if (operands === "" && first !== undefined)
    throw new TandemError("invalid_argument", `unexpected ${first}`);
  if (operands.startsWith("ID") && (first === undefined || first === ""))
    throw new TandemError("invalid_argument", "container id: is missing");
}

/** In order: the operands begin where the options end. */
function withRest(command: Command, given: Given, args: readonly string[], read: number): Given {
  return command.inOrder === true ? given.withOperands([...given.operands, ...args.slice(read)]) : given;
}

interface Parts {
  readonly call: Call;
  readonly general: Given;
  readonly given: Given;
  readonly log: CallLog;
  readonly server: ServerParts;
}

async function runCommand(command: Command, { call, general, given, log, server }: Parts): Promise<number> {
  const root = general.text("root");
  const manager = general.text("cgroup-manager") ?? "cgroupfs";
  if (!["cgroupfs", "systemd", "disabled"].includes(manager))
    throw new TandemError("invalid_argument", `--cgroup-manager ${manager}: cgroupfs, systemd or disabled`);
  const warn = (message: string): void => log.add("warning", message);
  const store = new Store(root === undefined || root === "" ? Store.usual : clientPath({ call }, root));
  const container = store.directory(given.operands[0] ?? "");
  const afterwards: (() => Promise<void>)[] = [];
  const context: Context = {
    call,
    given,
    store,
    systemdCgroup: general.has("systemd-cgroup") || manager === "systemd",
    noCgroup: manager === "disabled",
    criu: general.text("criu"),
    containerInit: server.containerInit,
    made: server.made,
    host: (child) => ({
      executable: server.containerInit,
      clone: (options) => call.clone(options, child),
      cgroupHierarchies: (cgroup) =>
        ownRights().machineRoot && cgroup.dirs.length > 0
          ? cgroupHierarchies(cgroup)
          : cgroupHierarchiesFrom(call.lookAtClient(cgroupLayoutAt), cgroup),
      compileSeccomp: (profile) => compileSeccomp(profile, join(directories.state, "seccomp")),
      warn: (error) => warn(error.message),
      hookEnvironment: call.env,
      relaysTerminal: given.text("console-socket") === undefined,
    }),
    alone: (work, whenBusy) => server.changes.alone(container, call, { work, whenBusy }),
    interruptible: (work) => server.changes.interruptible(container, call, work),
    interruptOthers: (reason) => server.changes.interrupt(container, reason),
    afterwards: (work) => void afterwards.push(work),
    warn,
  };
  server.roots.add(store.root);
  try {
    return await command.run(context);
  } finally {
    for (const work of afterwards) await work();
  }
}

async function print(call: Call, text: string): Promise<void> {
  call.write(text);
  await call.exit(0);
}

async function fail(call: Call, log: CallLog, message: string, status: number): Promise<void> {
  try {
    log.add("error", message);
  } catch (error) {
    call.writeError(`tandem-oci: ${TandemError.from(error).message}\n`);
  }
  call.writeError(`tandem-oci: ${message}\n`);
  await call.exit(status);
}

/** In the lines that callers read: name, commit, the specification's version. */
function versionText(): string {
  return `tandem-oci version ${VERSION}\ncommit: ${VERSION}\nspec: ${features.ociVersionMax}\n`;
}
