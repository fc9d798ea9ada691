/**
 * Whole systems in a container, as LXC runs them: Debian's root file system with systemd, or with sysvinit laid over it
 * (scripts/get-system-rootfs). A process 1 that is an init starts services, adopts what is orphaned, and brings the system down
 * in order when it is asked to.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import type { Spec, SpecProcess } from "../../src/bundle/spec.ts";
import { cgroupHierarchies } from "../../src/executor/cgroup-hierarchies.ts";
import { type Cgroup, openCgroup } from "../../src/isolation/cgroup.ts";
import { native } from "../../src/native.ts";
import { create, exitOf, openOutput, type Running, screen, specOf } from "./linux-container.ts";

const systems = join(dirname(fileURLToPath(import.meta.url)), "../../.cache/system");
const layersOf = { systemd: ["systemd"], sysvinit: ["sysvinit", "systemd"] } as const;
type Init = keyof typeof layersOf;

const inits = suite("a system container");
const absent = Object.values(layersOf)
  .flat()
  .filter((layer) => !existsSync(join(systems, layer)));
const test = (name: string, body: () => Promise<void>): void => {
  if (absent.length === 0) inits(name, body);
  else inits.skip(`${name} (no .cache/system/${absent[0]}: scripts/get-system-rootfs)`, body);
};

/** reboot(2): in a pid namespace a halt ends process 1 by SIGINT, a reboot by SIGHUP. */
const halted = 128 + 2;
const rebooted = 128 + 1;
/** The first real-time signal that programs may use is 34. */
const SIGRTMIN = 34;
const SIGPWR = 30;

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** What LXC leaves a system container: everything but what is about the machine's kernel, clock and modules. */
const capabilities = (() => {
  const names = [
    ..."CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP SETFCAP LEASE".split(" "),
    ..."NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_CHROOT SYS_PTRACE".split(" "),
    ..."SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TTY_CONFIG MKNOD AUDIT_WRITE AUDIT_CONTROL".split(" "),
  ].map((name) => `CAP_${name}`);
  return { bounding: names, effective: names, permitted: names };
})();

function systemSpec(process: Partial<SpecProcess>): Spec {
  const quiet = ["nosuid", "noexec", "nodev"];
  return specOf("", {
    process: { env: ["container=lxc", path], capabilities, ...process },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: quiet },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, "ro"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...quiet, "rw"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "nodev", "mode=1777"] },
      { destination: "/run", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=755"] },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777"] },
    ],
    linux: {
      namespaces: ["pid", "mount", "uts", "network", "ipc", "cgroup"].map((type) => ({ type })),
      resources: { pids: { limit: 500 } },
    },
  });
}

/** A system that has been started. Disposing of it ends it, and removes what it has written. */
class System implements AsyncDisposable {
  readonly running: Running;
  readonly cgroup: Cgroup;
  readonly #bundle: string;

  private constructor(bundle: string, cgroup: Cgroup, running: Running) {
    this.#bundle = bundle;
    this.cgroup = cgroup;
    this.running = running;
  }

  static async boot(
    init: Init,
    prepare: (rootfs: string) => void,
    process: Partial<SpecProcess> = {},
  ): Promise<System> {
    const bundle = mkdtempSync("/tmp/tsc-");
    const rootfs = join(bundle, "rootfs");
    for (const directory of ["upper", "work", "rootfs"]) mkdirSync(join(bundle, directory));
    const lower = layersOf[init].map((layer) => join(systems, layer)).join(":");
    const data = `lowerdir=${lower},upperdir=${join(bundle, "upper")},workdir=${join(bundle, "work")}`;
    execFileSync("mount", ["-t", "overlay", "overlay", "-o", data, rootfs]);
    const id = `${bundle.slice("/tmp/".length)}-system`;
    const cgroup = openCgroup({
      cgroupsPath: `/${id}`,
      namespace: "test",
      id,
      resources: { pids: { limit: 500 } },
    });
    prepare(rootfs);
    const spec = systemSpec({ args: ["/sbin/init"], ...process });
    const running = await create({ path: bundle, rootfs }, spec, { cgroupHierarchies }, cgroup);
    const system = new System(bundle, cgroup, running);
    await running.container.init.start();
    return system;
  }

  /** Runs a command in the system; its status and output. */
  async exec(...args: string[]): Promise<{ readonly status: number; readonly output: string }> {
    const file = join(this.#bundle, "exec");
    const io = openOutput(file);
    try {
      const process = await this.running.container.exec({
        execId: "e",
        process: { cwd: "/", args, env: [path], capabilities },
        stdio: io.stdio,
        signal: AbortSignal.timeout(30_000),
      });
      await process.start();
      const { status } = await process.exited;
      return { status, output: readFileSync(file, "utf8").trimEnd() };
    } finally {
      io.close();
    }
  }

  /** What a file in the system holds; undefined when it is not there. */
  read(file: string): string | undefined {
    const outside = join(this.#bundle, "rootfs", file);
    return existsSync(outside) ? readFileSync(outside, "utf8") : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { container } = this.running;
    this.cgroup.kill(9);
    await exitOf(container.init);
    await container.release();
    await this.cgroup.remove();
    execFileSync("umount", [join(this.#bundle, "rootfs")]);
    rmSync(this.#bundle, { recursive: true });
  }
}

/** A service that says on disk when it starts and when it is stopped, which a kill would not. */
function addUnit(rootfs: string): void {
  const unit = `[Unit]
Description=Probe
[Service]
ExecStart=/bin/sh -c 'echo started; echo started >>/var/probe; exec sleep infinity'
ExecStop=/bin/sh -c 'echo stopped >>/var/probe'
TasksMax=7
[Install]
WantedBy=multi-user.target
`;
  writeFileSync(join(rootfs, "etc/systemd/system/probe.service"), unit);
  const wanted = join(rootfs, "etc/systemd/system/multi-user.target.wants/probe.service");
  symlinkSync("/etc/systemd/system/probe.service", wanted);
}

/** The first cgroup of the service that the kernel shows, in whichever hierarchy systemd has made it. */
function cgroupOf(system: System, service: string): string | undefined {
  return system.cgroup.dirs
    .map((directory) => join(directory, "system.slice", service))
    .find((directory) => existsSync(directory));
}

/** Waits for systemd to listen, and then with systemctl for the end of the start; the state that it has come to. */
async function bootedState(system: System): Promise<string> {
  const answers = async () => (await system.exec("systemctl", "show", "--property=Version")).status === 0;
  await waitFor(answers, 20_000, "systemd's first answer");
  return (await system.exec("systemctl", "is-system-running", "--wait")).output;
}

test("systemd as process 1 starts every service, each in a cgroup below the container's", async () => {
  await using system = await System.boot("systemd", addUnit);
  const state = await bootedState(system);
  assert.is(state, "running", (await system.exec("systemctl", "--failed", "--no-pager")).output);
  for (const service of ["systemd-journald", "systemd-logind", "dbus", "probe"])
    assert.is((await system.exec("systemctl", "is-active", service)).output, "active", service);
  assert.is((await system.exec("systemd-detect-virt", "--container")).output, "lxc");
  assert.match((await system.exec("cat", "/proc/1/cgroup")).output, /:\/init\.scope$/m);
  const directory = cgroupOf(system, "probe.service");
  assert.ok(directory !== undefined && readFileSync(`${directory}/cgroup.procs`, "utf8") !== "");
  const limit = join(
    system.cgroup.dirs.find((each) => existsSync(join(each, "pids.max"))) ?? "",
    "system.slice",
  );
  assert.is(readFileSync(join(limit, "probe.service/pids.max"), "utf8"), "7\n");
  const log = await system.exec("journalctl", "--no-pager", "--output=cat", "--unit=probe.service");
  assert.match(log.output, /^started$/m);
});

test("SIGRTMIN+3 brings systemd down in order, and the end is seen as a halt", async () => {
  await using system = await System.boot("systemd", addUnit);
  await bootedState(system);
  system.running.container.init.kill(SIGRTMIN + 3);
  assert.is((await exitOf(system.running.container.init)).status, halted);
  assert.is(system.read("var/probe"), "started\nstopped\n");
  assert.equal(system.cgroup.pids(), []);
});

test("a reboot from within is seen as one", async () => {
  await using system = await System.boot("systemd", addUnit);
  await bootedState(system);
  await system.exec("systemctl", "reboot");
  assert.is((await exitOf(system.running.container.init)).status, rebooted);
  assert.is(system.read("var/probe"), "started\nstopped\n");
});

test("systemd asks for a login on the container's console", async () => {
  await using system = await System.boot("systemd", addUnit, { terminal: true });
  const master = system.running.container.init.console ?? -1;
  // Held open, as by the shim: systemd opens its console anew for each line.
  const slave = native.openTerminalPeer(master);
  assert.match(await screen(master, /login: /), /Debian GNU\/Linux \d+ \S+ (console|pts\/0)\s/);
  closeSync(slave);
  closeSync(master);
});

/** A runlevel with one service, and LXC's line for the signal of a power failure. */
function addRunlevels(rootfs: string): void {
  const inittab = `id:2:initdefault:
si::sysinit:/usr/lib/init/rcS
l0:0:wait:/usr/lib/init/rc 0
l2:2:wait:/usr/lib/init/rc 2
l6:6:wait:/usr/lib/init/rc 6
p0::powerfail:/sbin/init 0
`;
  writeFileSync(join(rootfs, "etc/inittab"), inittab);
  const script = `#!/bin/sh
case $1 in
  start) start-stop-daemon --start --background --exec /bin/sleep -- infinity && echo started >>/var/probe ;;
  stop) start-stop-daemon --stop --exec /bin/sleep && echo stopped >>/var/probe ;;
esac
`;
  writeFileSync(join(rootfs, "etc/init.d/probe"), script);
  chmodSync(join(rootfs, "etc/init.d/probe"), 0o755);
  // A file system of a machine is unmounted by its init; here the kernel does it, with the namespace.
  const links = { rc2: "S01probe", rc0: "K01probe", rc6: "K01probe" };
  for (const [level, link] of Object.entries(links)) {
    mkdirSync(join(rootfs, `etc/${level}.d`), { recursive: true });
    symlinkSync("../init.d/probe", join(rootfs, `etc/${level}.d`, link));
  }
  symlinkSync("../init.d/halt", join(rootfs, "etc/rc0.d/K99halt"));
  symlinkSync("../init.d/reboot", join(rootfs, "etc/rc6.d/K99reboot"));
}

async function startsService(system: System): Promise<void> {
  await waitFor(() => system.read("var/probe") !== undefined, 10_000, "the start of the service");
  assert.is(system.read("var/probe"), "started\n", system.running.output());
}

test("sysvinit as process 1 starts its services, and SIGPWR halts it in order", async () => {
  await using system = await System.boot("sysvinit", addRunlevels);
  await startsService(system);
  assert.is((await system.exec("runlevel")).output, "N 2");
  const serves = async () => (await system.exec("pidof", "sleep")).status === 0;
  await waitFor(serves, 5000, "the service's process");
  system.running.container.init.kill(SIGPWR);
  assert.is((await exitOf(system.running.container.init)).status, halted, system.running.output());
  assert.is(system.read("var/probe"), "started\nstopped\n");
});

test("sysvinit adopts what is orphaned, and its reboot is seen as one", async () => {
  await using system = await System.boot("sysvinit", addRunlevels);
  await startsService(system);
  const orphan = await system.exec("sh", "-c", "(sleep 3333 >/dev/null 2>&1 & echo $!)");
  const status = await system.exec("sed", "-n", "s/^PPid:.//p", `/proc/${orphan.output}/status`);
  assert.is(status.output, "1");
  await system.exec("init", "6");
  assert.is((await exitOf(system.running.container.init)).status, rebooted, system.running.output());
});

inits.run();
