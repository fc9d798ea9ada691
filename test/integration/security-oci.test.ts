/** The command line as an attacker sees it: a container on one side, other users and the owners of its files on the other. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  globSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { release } from "node:os";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { run } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { native } from "../../src/native.ts";
import { toServer } from "../../src/oci/protocol.ts";
import { ociBinary } from "../support/household.ts";
import { arm } from "./hostile.ts";
import { allCapabilities, lines } from "./linux-container.ts";
import { exitOf, OciCommands } from "./oci-commands.ts";

const NOBODY = 65534;
const security = suite("tandem-oci: attacks");
let oci: OciCommands;

security.before(() => {
  oci = new OciCommands();
});
security.after(async () => {
  await oci[Symbol.asyncDispose]();
});

type Change = Parameters<OciCommands["bundle"]>[1];

/** A bundle whose program is the hostile one, or a shell script beside it. */
function hostileBundle(script: string, change: Change = {}): string {
  const bundle = oci.bundle(script, change);
  arm({ rootfs: join(bundle, "rootfs") });
  return bundle;
}

const powers = (...more: string[]) => {
  const names = [...allCapabilities.effective, ...more];
  return { effective: names, bounding: names, permitted: names };
};

/** Runs a command line with descriptors 3, 4 and 5 open, each a directory of the machine's; returns its output. */
async function withDescriptors(args: readonly string[], output: string): Promise<string> {
  const file = openSync(output, "w");
  const directory = openSync("/", "r");
  try {
    const child = spawn(ociBinary, ["--root", oci.root, ...args], {
      env: { ...process.env, ...oci.environment },
      stdio: ["ignore", file, file, directory, directory, directory],
    });
    await exitOf(child);
    return readFileSync(output, "utf8");
  } finally {
    closeSync(directory);
    closeSync(file);
  }
}

for (const [count, listed] of [
  ["0", "listed\n"],
  ["1", "3 /\nlisted\n"],
  ["2", "3 /\n4 /\nlisted\n"],
] as const) {
  security(`--preserve-fds ${count} hands on so many, to run and to exec (CVE-2024-21626)`, async () => {
    const bundle = hostileBundle("", { process: { args: ["hostile", "descriptors"] } });
    const output = join(bundle, "output");
    const flags = count === "0" ? [] : ["--preserve-fds", count];
    assert.is(await withDescriptors(["run", ...flags, "--bundle", bundle, "p1"], output), listed);
    const other = hostileBundle("sleep 1000");
    await oci.begin("p2", other);
    assert.is(await withDescriptors(["exec", ...flags, "p2", "hostile", "descriptors"], output), listed);
    await oci.ok("delete", "--force", "p2");
  });
}

security("a preserved directory is neither a working directory nor a way for hooks", async () => {
  const hook = {
    path: "/bin/sh",
    args: ["sh", "-c", "test ! -e /proc/self/fd/3 && test ! -e /proc/self/fd/4"],
  };
  const bundle = hostileBundle("true", { hooks: { createContainer: [hook], startContainer: [hook] } });
  const output = join(bundle, "output");
  assert.is(await withDescriptors(["run", "--preserve-fds", "2", "--bundle", bundle, "p3"], output), "");
  for (const cwd of ["/proc/self/fd/3", "/proc/self/fd/4/tmp", "/proc/1/fd/3"]) {
    const inside = hostileBundle("pwd", { process: { cwd } });
    const said = await withDescriptors(["run", "--preserve-fds", "2", "--bundle", inside, "p4"], output);
    assert.match(said, /process.cwd/, `${cwd}: ${said}`);
  }
  assert.equal(oci.leftovers(), []);
});

security("descriptors that are not there are not preserved", async () => {
  const bundle = hostileBundle("true");
  const said = await withDescriptors(
    ["run", "--preserve-fds", "20", "--bundle", bundle, "p5"],
    join(bundle, "output"),
  );
  assert.match(said, /--preserve-fds: descriptor \d+ is not open/);
  // The client is gone, and the server undoes what it had begun.
  await waitFor(async () => oci.leftovers().length === 0, 10_000, "nothing is left");
});

security(
  "an exec shows container-init and not the client, even to one who may trace (CVE-2019-5736)",
  async () => {
    const bundle = hostileBundle("", {
      process: { args: ["hostile", "watch"], capabilities: powers("CAP_SYS_PTRACE") },
    });
    const output = await oci.begin("w1", bundle);
    await waitFor(async () => readFileSync(output, "utf8").includes("ready"), 10_000, "it watches");
    for (let round = 0; round < 20; round++) await oci.ok("exec", "w1", "true");
    const seen = new Set(lines(readFileSync(output, "utf8")));
    assert.equal([...seen], ["ready", "reached /memfd:container-init (deleted)"]);
    await oci.ok("delete", "--force", "w1");
  },
);

security("an id is a name and no path", async () => {
  const bundle = hostileBundle("true");
  const before = globSync(`${oci.directory}/**`).length;
  for (const id of ["../x", "..", "a/b", "/tmp/x"]) {
    for (const args of [["create", "--bundle", bundle], ["delete", "--force"], ["state"], ["kill"]]) {
      const { status, stderr } = await oci.run(...args, id);
      assert.is(status, 1);
      assert.match(stderr, /container id .*: letters, digits and _\+\.- only/);
    }
  }
  assert.is(globSync(`${oci.directory}/**`).length, before);
});

security("--pid-file and its neighbour replace a symlink and do not follow it", async () => {
  const bundle = hostileBundle("sleep 1000");
  const victim = join(bundle, "victim");
  writeFileSync(victim, "as it was");
  for (const name of ["pid", "pid.new"]) symlinkSync("victim", join(bundle, name));
  await oci.create("f1", bundle, "--pid-file", join(bundle, "pid"));
  assert.is(readFileSync(victim, "utf8"), "as it was");
  assert.is(Number(readFileSync(join(bundle, "pid"), "utf8")), (await oci.state("f1"))["pid"]);
  await oci.ok("delete", "--force", "f1");
});

security("a FIFO for a file holds up nobody", async () => {
  const bundle = hostileBundle("true");
  const fifo = join(bundle, "fifo");
  native.makeFifo(fifo);
  const log = await oci.call(["--log", fifo, "list"]);
  assert.match(log.stderr, /--log: .*ENXIO|no such device/i);
  rmSync(join(bundle, "config.json"));
  symlinkSync("fifo", join(bundle, "config.json"));
  assert.match((await oci.run("run", "--bundle", bundle, "q1")).stderr, /config.json.*is not a regular file/);
});

security("a container's files that others may write are not acted on", async () => {
  const bundle = hostileBundle("sleep 1000");
  await oci.begin("s1", bundle);
  const directory = join(oci.root, "s1");
  for (const [spoil, mend] of [
    [() => chmodSync(directory, 0o777), () => chmodSync(directory, 0o700)],
    [
      () => chownSync(join(directory, "state.json"), NOBODY, 0),
      () => chownSync(join(directory, "state.json"), 0, 0),
    ],
  ] as const) {
    spoil();
    for (const args of [["state"], ["kill"], ["delete", "--force"], ["pause"]]) {
      const { status, stderr } = await oci.run(...args, "s1");
      assert.is(status, 1);
      assert.match(stderr, /not this user's alone/);
    }
    mend();
  }
  assert.is((await oci.state("s1"))["status"], "running");
  await oci.ok("delete", "--force", "s1");
});

security("a pid that is another process's by now is not signalled", async () => {
  const bundle = hostileBundle("sleep 1000");
  await oci.begin("k1", bundle);
  const file = join(oci.root, "k1/state.json");
  const record = JSON.parse(readFileSync(file, "utf8")) as { pid: number };
  const bystander = spawn("sleep", ["1000"], { stdio: "ignore" });
  try {
    // As if the container had ended and its number had been given out again.
    writeFileSync(file, JSON.stringify({ ...record, pid: bystander.pid }), { mode: 0o600 });
    assert.match((await oci.run("kill", "k1", "KILL")).stderr, /container not running/);
    assert.match((await oci.run("exec", "k1", "true")).stderr, /container not running/);
    assert.is(bystander.exitCode, null);
    process.kill(bystander.pid as number, 0);
  } finally {
    bystander.kill("SIGKILL");
    writeFileSync(file, JSON.stringify(record), { mode: 0o600 });
  }
  await oci.ok("delete", "--force", "k1");
});

security("nobody else is answered: by the directory, by the socket's mode, by who connects", async () => {
  await oci.ok("list");
  const [socket = ""] = globSync(join(oci.runDirectory, "z/*/oci.sock"));
  assert.is(statSync(socket).mode & 0o777, 0o600);
  const directories = [oci.directory, oci.runDirectory, dirname(dirname(socket)), dirname(socket)];
  for (const directory of directories) assert.is(statSync(directory).mode & 0o777, 0o700);
  for (const directory of directories) chmodSync(directory, 0o755);
  chmodSync(socket, 0o666);
  process.seteuid?.(NOBODY);
  let connection = -1;
  try {
    connection = native.connectSeqpacket(socket);
    native.sendMessage(
      connection,
      Buffer.concat([Buffer.of(toServer.call), field("/"), field("0"), field("list")]),
      [],
    );
  } catch (error) {
    // Closed even before it was asked.
    assert.match((error as NodeJS.ErrnoException).code ?? "", /EPIPE|ECONNRESET/);
  } finally {
    process.seteuid?.(0);
    chmodSync(socket, 0o600);
    for (const directory of directories) chmodSync(directory, 0o700);
  }
  assert.ok(native.waitReadable(connection, 5000));
  assert.is(answerOf(connection), "");
  closeSync(connection);
  assert.is((await oci.run("list")).status, 0);
});

const capabilityLess = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"];

for (const [who, wrapper] of [
  ["without its capabilities", capabilityLess],
  ["of a user namespace of its own", ["unshare", "--user", "--map-root-user"]],
] as const)
  security(`root ${who} is not answered by the server of the machine's`, async () => {
    await oci.ok("list");
    const [socket = ""] = globSync(join(oci.runDirectory, "z/*/oci.sock"));
    const script = `
      import { native } from ${JSON.stringify(join(import.meta.dirname, "../../src/native.ts"))};
      const socket = native.connectSeqpacket(process.argv[1]);
      native.sendMessage(socket, Buffer.from("0100000000010000003004000000" + "6c697374", "hex"), []);
      native.waitReadable(socket, 10000);
      console.log(native.receiveMessage(socket, {}).data.length);`;
    const ask = async (...prefix: string[]) => {
      const args = [
        ...prefix,
        process.execPath,
        "--no-warnings",
        "--input-type=module-typescript",
        "-e",
        script,
      ];
      const [program = "", ...rest] = args;
      return await run(program, [...rest, socket]);
    };
    // Whoever may is told how it ended.
    assert.match((await ask()).stdout, /^[1-9]/);
    const { stdout, stderr } = await ask(...wrapper);
    assert.ok(stdout === "0\n" || /EPIPE|ECONNRESET/.test(stderr), `${stdout}${stderr}`);
  });

/** SO_PEERPIDFD is of Linux 6.5; ns_last_pid says which number comes next (proc_sys_kernel(5)). */
const LAST_PID = "/proc/sys/kernel/ns_last_pid";
const [major = 0, minor = 0] = release().split(".").map(Number);

function whyNotReused(): string | undefined {
  if (major * 100 + minor < 605) return `Linux ${release()} has no SO_PEERPIDFD`;
  return isWritable(LAST_PID) ? undefined : `${LAST_PID} cannot be written`;
}

function reused(name: string, body: () => Promise<void>): void {
  const reason = whyNotReused();
  if (reason === undefined) security(name, body);
  else security.skip(`${name} (${reason})`, body);
}

reused("a number is not taken for its peer's when another process has it by now", async () => {
  await oci.ok("list");
  const [socket = ""] = globSync(join(oci.runDirectory, "z/*/oci.sock"));
  const { server = 0 } = oci.servers() ?? {};
  const log = join(oci.directory, "reused.log");
  const call = ["/", "0", "--log", log, "list"].map(field);
  const script = `
    import { native } from ${JSON.stringify(join(import.meta.dirname, "../../src/native.ts"))};
    native.sendMessage(native.connectSeqpacket(process.argv[1]), Buffer.from(process.argv[2], "hex"), []);`;
  const message = Buffer.concat([Buffer.of(toServer.call), ...call]).toString("hex");
  process.kill(server, "SIGSTOP");
  let heir: ChildProcess | undefined;
  try {
    const args = ["--no-warnings", "--input-type=module-typescript", "-e", script, socket, message];
    const [setpriv = "", ...drop] = capabilityLess;
    const weak = spawn(setpriv, [...drop, process.execPath, ...args], { stdio: "inherit" });
    assert.equal(await once(weak, "exit"), [0, null], "it has asked");
    heir = await spawnAs(weak.pid ?? 0);
  } finally {
    process.kill(server, "SIGCONT");
  }
  // The server has taken one after the other.
  await oci.ok("list");
  heir.kill("SIGKILL");
  assert.not.ok(existsSync(log));
});

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** A process of ours with this number. */
async function spawnAs(pid: number): Promise<ChildProcess> {
  for (let attempt = 0; attempt < 500; attempt++) {
    writeFileSync(LAST_PID, String(pid - 1));
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    if (child.pid === pid) return child;
    // Somebody else on this machine was faster.
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  throw new Error(`pid ${pid}: not to be had`);
}

security("orders are not taken from a directory that others own or may write", async () => {
  const place = join(oci.directory, "other");
  mkdirSync(place);
  chownSync(place, NOBODY, NOBODY);
  const call = () => oci.call(["list"], { environment: { TANDEM_RUN_DIR: place } });
  assert.match((await call()).stderr, /belongs to another user/);
  chownSync(place, 0, 0);
  chmodSync(place, 0o777);
  assert.match((await call()).stderr, /writable by others/);
  rmSync(place, { recursive: true });
  symlinkSync("/run", place);
  assert.match((await call()).stderr, /Not a directory/);
});

function field(text: string): Buffer {
  const bytes = Buffer.alloc(4 + text.length);
  bytes.writeUInt32LE(text.length);
  bytes.write(text, 4);
  return bytes;
}

function answerOf(socket: number): string {
  try {
    return native.receiveMessage(socket, { nonBlocking: true })?.data.toString() ?? "nothing yet";
  } catch (error) {
    assert.is((error as NodeJS.ErrnoException).code, "ECONNRESET");
    return "";
  }
}

// Last: it starts a second zygote.
security("root without its capabilities has no hook run with the server's", async () => {
  const hook = { path: "/bin/sh", args: ["sh", "-c", "grep CapEff /proc/self/status >rights"] };
  const bundle = oci.bundle("true", { hostname: "", linux: { namespaces: [] }, hooks: { poststop: [hook] } });
  await oci.ok("list");
  const { status } = await oci.shell(`$OCI run --bundle ${bundle} weak`, capabilityLess);
  // It may not even bind the rootfs; on v1 not the rules of devices either, and then no hook has its turn.
  assert.is(status, 1);
  const rights = join(bundle, "rights");
  if (existsSync(rights)) assert.match(readFileSync(rights, "utf8"), /^CapEff:\t0+$/m);
  assert.is((await oci.shell("$OCI list", capabilityLess)).status, 0);
  assert.is(globSync(join(oci.runDirectory, "z/*/oci.sock")).length, 2);
});

security.run();
