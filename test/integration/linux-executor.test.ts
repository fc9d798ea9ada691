import { spawnSync } from "node:child_process";
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SpecSeccomp } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";
import { cgroupHierarchies } from "../../src/executor/cgroup-hierarchies.ts";
import { openCgroup } from "../../src/isolation/cgroup.ts";
import { compileSeccomp } from "../../src/isolation/seccomp.ts";
import { native } from "../../src/native.ts";
import { allCapabilities, create, createBundle, exitOf, openOutput, run, specOf } from "./linux-container.ts";

const linux = suite("linux executor");

async function failure(promise: Promise<unknown>): Promise<TandemError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, TandemError);
    return error as TandemError;
  }
  throw new Error("was expected to fail");
}

const lines = (text: string): string[] => text.trimEnd().split("\n");

async function eventually(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 5_000; Date.now() < end && !condition(); ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

// --- life ---------------------------------------------------------------------------------------------------------------

linux("a program's output and exit status come out", async () => {
  const { output, status } = await run(specOf("echo out; echo err >&2; exit 7"));
  assert.is(output, "out\nerr\n");
  assert.is(status, 7);
});

linux("a killed program's status is 128 plus the signal", async () => {
  const bundle = createBundle();
  try {
    const { container } = await create(bundle, specOf("exec sleep 100"));
    await container.init.start();
    container.init.kill(9);
    assert.is((await exitOf(container.init)).status, 137);
    assert.throws(
      () => container.init.kill(9),
      (error: TandemError) => error.code === "not_found",
    );
  } finally {
    bundle.remove();
  }
});

linux(
  "between create and start nothing of the image runs, but the process and its namespaces exist",
  async () => {
    const bundle = createBundle();
    try {
      const { container, output } = await create(bundle, specOf("echo ran"));
      const { pid } = container.init;
      for (const namespace of ["pid", "mnt", "uts", "ipc", "net"]) {
        assert.is.not(
          readlinkSync(`/proc/${pid}/ns/${namespace}`),
          readlinkSync(`/proc/self/ns/${namespace}`),
          namespace,
        );
      }
      assert.is(readlinkSync(`/proc/${pid}/ns/user`), readlinkSync("/proc/self/ns/user"));
      assert.is(output(), "");
      await container.init.start();
      await exitOf(container.init);
      assert.is(output(), "ran\n");
    } finally {
      bundle.remove();
    }
  },
);

linux("a created container whose shim is killed ends by itself", async () => {
  const bundle = createBundle();
  try {
    const script = fileURLToPath(new URL("shim-that-dies.ts", import.meta.url));
    const shim = spawnSync(process.execPath, [script, bundle.path, bundle.rootfs], {
      encoding: "utf8",
      timeout: 20_000,
    });
    assert.is(shim.signal, "SIGKILL", shim.stderr);
    const pid = Number(shim.stdout);
    assert.ok(pid > 0);
    const gone = () =>
      !existsSync(`/proc/${pid}`) || /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    await eventually(gone);
    assert.ok(gone());
  } finally {
    bundle.remove();
  }
});

// --- file system ----------------------------------------------------------------------------------------------------------

linux("the container sees its own root and nothing of the machine's", async () => {
  const { output } = await run(specOf("ls /; cat /proc/self/mountinfo | wc -l"));
  assert.equal(lines(output), ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "6"]);
});

linux("nothing of a container's mounts is seen on the host, neither while it lives nor after", async () => {
  const bundle = createBundle();
  try {
    const seen = () =>
      lines(readFileSync("/proc/self/mountinfo", "utf8")).filter((line) => line.includes(bundle.path));
    const { container } = await create(bundle, specOf("true"));
    assert.match(
      readFileSync(`/proc/${container.init.pid}/mountinfo`, "utf8"),
      // As the file system names it: /tmp may be one of its own.
      new RegExp(`/${basename(bundle.path)}/rootfs / `),
    );
    assert.equal(seen(), []);
    await container.init.start();
    await exitOf(container.init);
    assert.equal(seen(), []);
  } finally {
    bundle.remove();
  }
});

linux("a read-only root cannot be written, a tmpfs in it can", async () => {
  const spec = specOf("touch /etc/a; touch /dev/shm/b && echo wrote", {
    root: { path: "rootfs", readonly: true },
  });
  const { output } = await run(spec);
  assert.match(output, /touch: \/etc\/a: Read-only file system/);
  assert.match(output, /wrote/);
});

linux(
  "binds are made with their options, targets included, and recursively read-only when asked",
  async () => {
    const bundle = createBundle();
    try {
      const source = join(bundle.path, "source");
      mkdirSync(source);
      writeFileSync(join(source, "file"), "content\n");
      const spec = specOf(
        "cat /data/deep/dir/file /etc/one; touch /data/deep/dir/new; touch /all/x; grep -E ' /data| /etc/one| /all' /proc/self/mountinfo",
        {
          mounts: [
            { destination: "/proc", type: "proc", source: "proc" },
            {
              destination: "/data/deep/dir",
              type: "bind",
              source,
              options: ["rbind", "ro", "nosuid", "noexec"],
            },
            { destination: "/etc/one", source: join(source, "file"), options: ["bind", "nodev"] },
            { destination: "/all", source, options: ["rbind", "rro"] },
          ],
        },
      );
      const { container, output } = await create(bundle, spec);
      await container.init.start();
      await exitOf(container.init);
      assert.match(output(), /content\ncontent\n/);
      assert.match(output(), /new: Read-only file system/);
      assert.match(output(), /\/all\/x: Read-only file system/);
      assert.match(output(), / \/data\/deep\/dir ro,nosuid,noexec,relatime /);
      assert.match(output(), / \/etc\/one rw,nodev,relatime /);
    } finally {
      bundle.remove();
    }
  },
);

linux(
  "an id-mapped bind shows its files with other owners, without a user namespace of the container's",
  async () => {
    const bundle = createBundle();
    try {
      const source = join(bundle.path, "source");
      mkdirSync(source);
      writeFileSync(join(source, "file"), "");
      chownSync(join(source, "file"), 3, 4);
      const ids = (hostID: number) => [{ containerID: 0, hostID, size: 100 }];
      const mount = { destination: "/data", type: "bind", source, options: ["rbind"] };
      const spec = specOf("stat -c %u:%g /data/file", {
        mounts: [{ ...mount, uidMappings: ids(5000), gidMappings: ids(6000) }],
      });
      const { container, output } = await create(bundle, spec);
      await container.init.start();
      await exitOf(container.init);
      assert.is(output(), "5003:6004\n");
    } finally {
      bundle.remove();
    }
  },
);

linux("a symlink of the image cannot move a mount out of the root", async () => {
  const outside = createBundle();
  try {
    writeFileSync(join(outside.path, "file"), "from the host\n");
    const spec = specOf("cat /link/inner/file; readlink /link", {
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/link/inner", type: "bind", source: outside.path, options: ["rbind"] },
      ],
    });
    const { output } = await run(spec, {
      prepare: ({ rootfs }) =>
        symlinkSync(`../../../../../../..${outside.rootfs}/escaped`, join(rootfs, "link")),
    });
    assert.match(output, /from the host/);
    assert.not(existsSync(join(outside.rootfs, "escaped")), "the target was made outside of the root");
  } finally {
    outside.remove();
  }
});

linux("a bind over a symlink to nothing makes what it points to, as for /etc/resolv.conf", async () => {
  const spec = specOf("cat /etc/resolv.conf; cat /run/resolve/stub.conf", {
    mounts: [{ destination: "/etc/resolv.conf", type: "bind", source: "/etc/hostname", options: ["bind"] }],
  });
  const { output } = await run(spec, {
    prepare: ({ rootfs }) => symlinkSync("../run/resolve/stub.conf", join(rootfs, "etc/resolv.conf")),
  });
  const name = readFileSync("/etc/hostname", "utf8");
  assert.is(output, name + name);
});

linux("a tmpfs with tmpcopyup has what the image had there", async () => {
  const spec = specOf(
    "cat /etc/a/b; readlink /etc/l; stat -c %a /etc/a/b /etc; touch /etc/new && echo wrote",
    {
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["nosuid", "tmpcopyup"] },
      ],
      root: { path: "rootfs", readonly: true },
    },
  );
  const { output } = await run(spec, {
    prepare: ({ rootfs }) => {
      mkdirSync(join(rootfs, "etc/a"));
      writeFileSync(join(rootfs, "etc/a/b"), "content\n", { mode: 0o640 });
      symlinkSync("a/b", join(rootfs, "etc/l"));
    },
  });
  assert.equal(lines(output), ["content", "a/b", "640", "755", "wrote"]);
});

linux("proc is refused behind a symlink", async () => {
  const spec = specOf("true", { mounts: [{ destination: "/sys/link", type: "proc", source: "proc" }] });
  const error = await failure(
    run(spec, { prepare: ({ rootfs }) => symlinkSync("/tmp", join(rootfs, "sys/link")) }),
  );
  assert.match(error.message, /mounts\[0\] \/sys\/link: \/sys\/link: must be mounted on ordinary directory/);
});

linux("masked paths are empty and read-only paths cannot be written", async () => {
  const spec = specOf(
    "wc -c < /proc/interrupts; ls /proc/acpi /sys | wc -l; echo 1 > /proc/sys/kernel/panic; cat /etc/masked; true",
    {
      linux: {
        maskedPaths: ["/proc/interrupts", "/proc/acpi", "/sys", "/etc/masked", "/not/there"],
        readonlyPaths: ["/proc/sys", "/not/there"],
      },
    },
  );
  const { output } = await run(spec, {
    prepare: ({ rootfs }) => {
      writeFileSync(join(rootfs, "etc/masked"), "secret");
      writeFileSync(join(rootfs, "sys/seen"), "secret");
    },
  });
  assert.match(output, /^0\n/);
  assert.not.match(output, /secret|seen/);
  assert.match(output, /panic: Read-only file system/);
});

linux("devices are those of the spec and the defaults", async () => {
  const spec = specOf(
    "stat -c '%n %F %t,%T %a %u:%g' /dev/null /dev/extra /dev/pipe; echo x > /dev/null && readlink /dev/fd && readlink /dev/ptmx",
    {
      linux: {
        devices: [
          { type: "c", path: "/dev/extra", major: 1, minor: 5, fileMode: 0o640, uid: 5, gid: 6 },
          { type: "p", path: "/dev/pipe", fileMode: 0o600 },
        ],
      },
    },
  );
  const { output } = await run(spec);
  assert.equal(lines(output), [
    "/dev/null character special file 1,3 666 0:0",
    "/dev/extra character special file 1,5 640 5:6",
    "/dev/pipe fifo 0,0 600 0:0",
    "/proc/self/fd",
    "pts/ptmx",
  ]);
});

linux("a failed mount names its property and leaves no process", async () => {
  const spec = specOf("true", { mounts: [{ destination: "/x", type: "nosuchfs", source: "x" }] });
  const error = await failure(run(spec));
  assert.match(error.message, /container c1: mounts\[0\] \/x: mount \/x: No such device/);
});

// --- process --------------------------------------------------------------------------------------------------------------

linux("user, groups, umask and capabilities are exactly those of the spec", async () => {
  const caps = ["CAP_NET_BIND_SERVICE", "CAP_CHOWN"];
  const spec = specOf("id -u; id -g; id -G; umask; grep -E 'Cap|NoNew|Seccomp:' /proc/self/status", {
    process: {
      user: { uid: 1000, gid: 1001, umask: 0o027, additionalGids: [7, 8] },
      capabilities: {
        bounding: caps,
        permitted: caps,
        inheritable: caps,
        effective: caps,
        ambient: ["CAP_CHOWN"],
      },
      noNewPrivileges: true,
    },
  });
  const { output } = await run(spec);
  assert.equal(lines(output), [
    "1000",
    "1001",
    "1001 7 8",
    "0027",
    "CapInh:\t0000000000000401",
    "CapPrm:\t0000000000000001",
    "CapEff:\t0000000000000001",
    "CapBnd:\t0000000000000401",
    "CapAmb:\t0000000000000001",
    "NoNewPrivs:\t1",
    "Seccomp:\t0",
  ]);
});

linux("rlimits and oom_score_adj are set", async () => {
  const spec = specOf("ulimit -Sn; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj", {
    process: {
      oomScoreAdj: 321,
      rlimits: [
        { type: "RLIMIT_NOFILE", soft: 100, hard: 200 },
        { type: "RLIMIT_CORE", soft: 0, hard: 0 },
      ],
    },
  });
  assert.equal(lines((await run(spec)).output), ["100", "200", "0", "321"]);
});

linux("a limit that the machine does not allow fails and names it", async () => {
  const spec = specOf("true", { process: { rlimits: [{ type: "RLIMIT_NOFILE", soft: 10, hard: 2 ** 40 }] } });
  const error = await failure(run(spec));
  assert.match(error.message, /process\.rlimits\[0\] RLIMIT_NOFILE: setrlimit/);
  assert.is(error.code, "permission_denied");
});

linux("no descriptor of the runtime reaches the program", async () => {
  const { output } = await run(
    // The shell opens and closes the pipe's ends while ls looks: what is gone by then is no finding.
    specOf("ls /proc/self/fd; ls -l /proc/1/fd 2>/dev/null | grep -c -E 'socket|memfd|pidfd'"),
  );
  // The directory that ls reads is its own.
  assert.equal(lines(output), ["0", "1", "2", "3", "0"]);
});

linux("signals are at their defaults and none is blocked", async () => {
  const { output } = await run(specOf("exec grep -E 'Sig(Blk|Ign)' /proc/self/status", {}));
  assert.equal(lines(output), ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"]);
});

linux("hostname, domain name and sysctls are the container's own", async () => {
  const before = readFileSync("/proc/sys/kernel/shmmax", "utf8");
  const spec = specOf(
    "hostname; cat /proc/sys/kernel/domainname /proc/sys/kernel/shmmax /proc/sys/net/ipv4/ip_forward",
    {
      domainname: "example.test",
      linux: { sysctl: { "kernel.shmmax": "65537", "net.ipv4.ip_forward": "1" } },
    },
  );
  assert.equal(lines((await run(spec)).output), ["boxed", "example.test", "65537", "1"]);
  assert.is(readFileSync("/proc/sys/kernel/shmmax", "utf8"), before);
});

linux("loopback is up in a new network namespace", async () => {
  assert.match((await run(specOf("ip addr show lo"))).output, /LOOPBACK,UP[\s\S]*127\.0\.0\.1/);
});

linux("a missing working directory is made, and one that is a file refused", async () => {
  assert.is((await run(specOf("pwd", { process: { cwd: "/made/for/you" } }))).output, "/made/for/you\n");
  const error = await failure(run(specOf("pwd", { process: { cwd: "/bin/busybox" } })));
  assert.match(error.message, /process\.cwd: chdir \/bin\/busybox: Not a directory/);
});

linux("a working directory through a descriptor of the runtime does not lead out", async () => {
  const leaked = openSync("/", "r");
  try {
    const error = await failure(run(specOf("ls ../..", { process: { cwd: `/proc/self/fd/${leaked}` } })));
    assert.match(error.message, /process\.cwd/);
  } finally {
    closeSync(leaked);
  }
});

linux("a program that is not there or not executable fails creation in Docker's words", async () => {
  const attempt = (file: string) =>
    failure(
      run(specOf("", { process: { args: [file] } }), {
        prepare: ({ rootfs }) => writeFileSync(join(rootfs, "bin/plain"), "x", { mode: 0o644 }),
      }),
    );
  assert.match((await attempt("nosuch")).message, /exec: "nosuch": executable file not found in \$PATH/);
  assert.match(
    (await attempt("/bin/nosuch")).message,
    /exec: "\/bin\/nosuch": stat \/bin\/nosuch: no such file or directory/,
  );
  assert.match((await attempt("/bin/plain")).message, /exec: "\/bin\/plain": permission denied/);
  assert.match((await attempt("plain")).message, /exec: "plain": permission denied/);
  assert.match((await attempt("/bin")).message, /is a directory/);
});

linux("a program that the kernel cannot execute fails start", async () => {
  const spec = specOf("", { process: { args: ["/bin/broken"] } });
  const error = await failure(
    run(spec, {
      prepare: ({ rootfs }) => writeFileSync(join(rootfs, "bin/broken"), "no program\n", { mode: 0o755 }),
    }),
  );
  assert.match(error.message, /exec \/bin\/broken: exec format error/);
});

linux("the program owns its stdio", async () => {
  const spec = specOf("echo again > /dev/stdout && stat -c %u -L /dev/stdout", {
    process: { user: { uid: 1000, gid: 1000 } },
  });
  assert.match((await run(spec)).output, /1000\n/);
});

linux("scheduler, I/O priority and personality are applied", async () => {
  const spec = specOf("cat /proc/self/stat; busybox ionice -p 1; busybox uname -m", {
    process: {
      scheduler: { policy: "SCHED_BATCH", nice: 5 },
      ioPriority: { class: "IOPRIO_CLASS_IDLE", priority: 7 },
    },
    linux: { personality: { domain: "LINUX32" } },
  });
  const [stat = "", io, machine] = lines((await run(spec)).output);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  assert.is(fields[16], "5", "nice");
  assert.is(fields[38], "3", "SCHED_BATCH");
  assert.match(io ?? "", /idle/);
  assert.is(machine, "i686");
});

linux("HOME comes from the image's passwd unless the environment has one", async () => {
  const home = (uid: number, env: string[]) =>
    run(specOf("echo $HOME", { process: { user: { uid, gid: 0 }, env: ["PATH=/bin", ...env] } }), {
      prepare: ({ rootfs }) =>
        writeFileSync(
          join(rootfs, "etc/passwd"),
          "root:x:0:0:root:/root:/bin/sh\nann:x:10:10:Ann:/home/ann:/bin/sh",
        ),
    });
  assert.is((await home(10, [])).output, "/home/ann\n");
  assert.is((await home(1, [])).output, "/\n");
  assert.is((await home(10, ["HOME=/mine"])).output, "/mine\n");
});

linux("mounts propagate as rootfsPropagation says", async () => {
  const shown = async (rootfsPropagation: string) =>
    (await run(specOf("head -n1 /proc/self/mountinfo", { linux: { rootfsPropagation } }))).output;
  assert.match(await shown("rshared"), / shared:\d+ - /);
  assert.not.match(await shown("rprivate"), /shared:|master:/);
  assert.match(await shown("unbindable"), / unbindable - /);
});

// --- terminal -------------------------------------------------------------------------------------------------------------

async function screen(fd: number, until: RegExp): Promise<string> {
  let text = "";
  const chunk = Buffer.alloc(4096);
  for (const end = Date.now() + 10_000; Date.now() < end && !until.test(text); ) {
    if (!native.waitReadable(fd, 100)) continue;
    try {
      text += chunk.toString("utf8", 0, readSync(fd, chunk));
    } catch (error) {
      assert.is((error as NodeJS.ErrnoException).code, "EIO");
      break;
    }
  }
  return text;
}

linux("a terminal is the container's own, controlling, of the asked size, and its console", async () => {
  const bundle = createBundle();
  try {
    const spec = specOf("tty; stty size; echo hi > /dev/tty; stat -c '%F %u' /dev/console; exit 3", {
      process: { terminal: true, consoleSize: { width: 91, height: 17 }, user: { uid: 12, gid: 12 } },
    });
    const { container } = await create(bundle, spec);
    const master = container.init.console;
    assert.type(master, "number");
    await container.init.start();
    const text = await screen(master as number, /special file 12/);
    assert.match(text, /\/dev\/pts\/0\r\n17 91\r\nhi\r\ncharacter special file 12/);
    assert.is((await exitOf(container.init)).status, 3);
    closeSync(master as number);
  } finally {
    bundle.remove();
  }
});

// --- exec -----------------------------------------------------------------------------------------------------------------

linux("an exec shares the namespaces and the root, and has its own user and status", async () => {
  const bundle = createBundle();
  const io = openOutput(join(bundle.path, "exec"));
  try {
    const { container } = await create(bundle, specOf("exec sleep 100"));
    await container.init.start();
    const process = await container.exec({
      execId: "e1",
      process: {
        cwd: "/tmp",
        args: [
          "sh",
          "-c",
          "hostname; pwd; id -u; ls /proc | grep -c '^1$'; ls /proc/self/fd | wc -l; grep CapEff /proc/self/status; exit 4",
        ],
        env: ["PATH=/bin"],
        user: { uid: 33, gid: 33 },
        capabilities: allCapabilities,
      },
      stdio: io.stdio,
      signal: AbortSignal.timeout(10_000),
    });
    for (const namespace of ["pid", "mnt", "uts", "ipc", "net"]) {
      assert.is(
        readlinkSync(`/proc/${process.pid}/ns/${namespace}`),
        readlinkSync(`/proc/${container.init.pid}/ns/${namespace}`),
        namespace,
      );
    }
    await process.start();
    assert.is((await exitOf(process)).status, 4);
    assert.equal(lines(readFileSync(join(bundle.path, "exec"), "utf8")), [
      "boxed",
      "/tmp",
      "33",
      "1",
      "4",
      "CapEff:\t0000000000000000",
    ]);
    container.init.kill(9);
    await exitOf(container.init);
  } finally {
    io.close();
    bundle.remove();
  }
});

linux("an exec of a missing program fails and the container goes on", async () => {
  const bundle = createBundle();
  try {
    const { container } = await create(bundle, specOf("exec sleep 100"));
    await container.init.start();
    const error = await failure(
      container.exec({
        execId: "e1",
        process: { cwd: "/", args: ["nosuch"] },
        stdio: undefined,
        signal: AbortSignal.timeout(10_000),
      }),
    );
    assert.match(
      error.message,
      /exec e1 of container c1: exec: "nosuch": executable file not found in \$PATH/,
    );
    container.init.kill(9);
    assert.is((await exitOf(container.init)).status, 137);
  } finally {
    bundle.remove();
  }
});

linux("an exec can have a terminal", async () => {
  const bundle = createBundle();
  try {
    const { container } = await create(bundle, specOf("exec sleep 100"));
    await container.init.start();
    const process = await container.exec({
      execId: "e1",
      process: { cwd: "/", terminal: true, args: ["sh", "-c", "tty; cat"], env: ["PATH=/bin"] },
      stdio: undefined,
      signal: AbortSignal.timeout(10_000),
    });
    await process.start();
    assert.match(await screen(process.console as number, /pts\/0/), /\/dev\/pts\/0/);
    process.kill(9);
    await exitOf(process);
    closeSync(process.console as number);
    container.init.kill(9);
    await exitOf(container.init);
  } finally {
    bundle.remove();
  }
});

// --- hooks ----------------------------------------------------------------------------------------------------------------

linux("hooks run in their order, where they belong, with the state on stdin", async () => {
  const bundle = createBundle();
  try {
    const log = join(bundle.rootfs, "log");
    writeFileSync(log, "");
    const host = (kind: string) => ({
      path: "/bin/sh",
      args: ["sh", "-c", `read state; echo ${kind} $(hostname) $state >> ${log}`],
    });
    const spec = specOf("echo program >> /log", {
      hooks: {
        prestart: [host("prestart")],
        createRuntime: [host("createRuntime")],
        createContainer: [host("createContainer")],
        startContainer: [
          {
            path: "/bin/sh",
            args: ["sh", "-c", "read -r state; echo startContainer $(/bin/hostname) $state >> /log"],
          },
        ],
        poststart: [host("poststart")],
        poststop: [host("poststop")],
      },
    });
    const { container } = await create(bundle, spec);
    const { pid } = container.init;
    const created = lines(readFileSync(log, "utf8"));
    assert.equal(
      created.map((line) => line.split(" ")[0]),
      ["prestart", "createRuntime", "createContainer"],
    );
    assert.match(created[1] ?? "", new RegExp(`"status":"creating","pid":${pid},"bundle":"${bundle.path}"`));
    assert.match(created[2] ?? "", / boxed /, "createContainer is in the container's uts namespace");
    assert.not.match(created[1] ?? "", / boxed /);
    await container.init.start();
    await exitOf(container.init);
    await container.release();
    await container.release();
    const order = lines(readFileSync(log, "utf8")).map((line) => line.split(" ")[0]);
    assert.is(order[3], "startContainer");
    assert.equal([...order.slice(4)].sort(), ["poststart", "poststop", "program"]);
    assert.is(order.at(-1), "poststop");
  } finally {
    bundle.remove();
  }
});

linux("a failing createRuntime hook fails creation, runs poststop and leaves no process", async () => {
  const bundle = createBundle();
  try {
    const pidFile = join(bundle.path, "pid");
    const marker = join(bundle.path, "stopped");
    const spec = specOf("true", {
      hooks: {
        createRuntime: [
          { path: "/bin/sh", args: ["sh", "-c", `cat > ${pidFile}; echo went wrong >&2; exit 3`] },
        ],
        poststop: [{ path: "/bin/sh", args: ["sh", "-c", `touch ${marker}`] }],
      },
    });
    const error = await failure(create(bundle, spec));
    assert.match(error.message, /hooks\.createRuntime\[0\] \/bin\/sh: failed with status 3: went wrong/);
    const { pid } = JSON.parse(readFileSync(pidFile, "utf8")) as { pid: number };
    assert.not(existsSync(`/proc/${pid}`));
    assert.ok(existsSync(marker));
  } finally {
    bundle.remove();
  }
});

linux("a hook is killed at its timeout", async () => {
  const slow = [{ path: "/bin/sleep", args: ["sleep", "60"], timeout: 1 }];
  const outside = await failure(run(specOf("true", { hooks: { createRuntime: slow } })));
  assert.is(outside.code, "deadline_exceeded");
  const inside = await failure(run(specOf("true", { hooks: { createContainer: slow } })));
  assert.match(inside.message, /hooks\.createContainer\[0\]: \/bin\/sleep: hook took longer/);
});

// --- namespaces -----------------------------------------------------------------------------------------------------------

const mapped = {
  namespaces: [
    { type: "pid" },
    { type: "mount" },
    { type: "uts" },
    { type: "ipc" },
    { type: "network" },
    { type: "user" },
    { type: "cgroup" },
  ],
  uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
  gidMappings: [{ containerID: 0, hostID: 200_000, size: 65_536 }],
};

linux("in a user namespace root is nobody outside, and mounts, devices and limits still work", async () => {
  const bundle = createBundle();
  try {
    // As containerd does: the snapshot belongs to the container's root.
    chownSync(bundle.rootfs, 100_000, 200_000);
    const source = join(bundle.path, "private");
    mkdirSync(source, { mode: 0o700 });
    writeFileSync(join(source, "file"), "reached\n");
    const spec = specOf(
      "id -u; cat /proc/self/uid_map; echo x > /dev/null && echo null; cat /private/file; ulimit -Sn; sleep 100",
      {
        mounts: [
          { destination: "/proc", type: "proc", source: "proc" },
          { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"] },
          { destination: "/private", type: "bind", source, options: ["rbind", "ridmap"] },
        ],
        process: { rlimits: [{ type: "RLIMIT_NOFILE", soft: 99, hard: 99 }] },
        linux: mapped,
      },
    );
    const { container, output } = await create(bundle, spec);
    await container.init.start();
    await eventually(() => /99/.test(output()));
    assert.match(
      readFileSync(`/proc/${container.init.pid}/status`, "utf8"),
      /^Uid:\t100000\t100000\t100000\t100000\nGid:\t200000/m,
    );
    assert.equal(
      lines(output()).map((line) => line.trim().replace(/ +/g, " ")),
      ["0", "0 100000 65536", "null", "reached", "99"],
    );
    container.init.kill(9);
    await exitOf(container.init);
  } finally {
    bundle.remove();
  }
});

linux("an exec into a user namespace has its ids", async () => {
  const bundle = createBundle();
  const io = openOutput(join(bundle.path, "exec"));
  try {
    const { container } = await create(bundle, specOf("exec sleep 100", { linux: mapped }));
    await container.init.start();
    const process = await container.exec({
      execId: "e1",
      process: { cwd: "/", args: ["id", "-u"], env: ["PATH=/bin"], user: { uid: 5, gid: 5 } },
      stdio: io.stdio,
      signal: AbortSignal.timeout(10_000),
    });
    assert.match(readFileSync(`/proc/${process.pid}/status`, "utf8"), /^Uid:\t100005\t/m);
    await process.start();
    assert.is((await exitOf(process)).status, 0);
    assert.is(readFileSync(join(bundle.path, "exec"), "utf8"), "5\n");
    container.init.kill(9);
    await exitOf(container.init);
  } finally {
    io.close();
    bundle.remove();
  }
});

linux("namespaces given by path are joined, the way pods share them", async () => {
  const bundle = createBundle();
  try {
    const { container } = await create(bundle, specOf("exec sleep 100"));
    await container.init.start();
    const { pid } = container.init;
    const spec = specOf("hostname; ls /proc | grep -c '^1$'; ls -l /proc/self/ns", {
      hostname: "",
      linux: {
        namespaces: [
          { type: "mount" },
          { type: "pid", path: `/proc/${pid}/ns/pid` },
          { type: "uts", path: `/proc/${pid}/ns/uts` },
          { type: "ipc", path: `/proc/${pid}/ns/ipc` },
          { type: "network", path: `/proc/${pid}/ns/net` },
        ],
      },
    });
    const { output, status } = await run(spec);
    assert.is(status, 0);
    assert.match(output, /^boxed\n1\n/);
    for (const namespace of ["pid", "uts", "ipc", "net"])
      assert.ok(output.includes(readlinkSync(`/proc/${pid}/ns/${namespace}`)), namespace);
    container.init.kill(9);
    await exitOf(container.init);
  } finally {
    bundle.remove();
  }
});

linux("a container with a user namespace joins another's, pid namespace of its own included", async () => {
  const bundle = createBundle();
  try {
    const { container } = await create(bundle, specOf("exec sleep 100", { linux: mapped }));
    await container.init.start();
    const { pid } = container.init;
    const spec = specOf("id -u; echo $$; cat /proc/self/uid_map", {
      hostname: "",
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      ],
      linux: {
        namespaces: [
          { type: "mount" },
          { type: "pid" },
          { type: "user", path: `/proc/${pid}/ns/user` },
          { type: "network", path: `/proc/${pid}/ns/net` },
        ],
      },
    });
    const { output } = await run(spec);
    assert.equal(
      lines(output).map((line) => line.trim().replace(/ +/g, " ")),
      ["0", "1", "0 100000 65536"],
    );
    container.init.kill(9);
    await exitOf(container.init);
  } finally {
    bundle.remove();
  }
});

linux("a time namespace has its offsets", async () => {
  const spec = specOf("cat /proc/uptime", {
    linux: {
      namespaces: [{ type: "pid" }, { type: "mount" }, { type: "uts" }, { type: "time" }],
      timeOffsets: { boottime: { secs: 1_000_000, nanosecs: 0 } },
    },
  });
  assert.ok(Number((await run(spec)).output.split(" ")[0]) > 1_000_000);
});

linux("a namespace that cannot be joined fails creation and names it", async () => {
  const spec = specOf("true", {
    hostname: "",
    linux: { namespaces: [{ type: "mount" }, { type: "network", path: "/nosuch" }] },
  });
  assert.match((await failure(run(spec))).message, /linux\.namespaces\[1\] network: ENOENT/);
  const wrong = specOf("true", {
    hostname: "",
    linux: { namespaces: [{ type: "mount" }, { type: "network", path: "/proc/self/ns/uts" }] },
  });
  assert.match((await failure(run(wrong))).message, /linux\.namespaces, linux\.cgroupsPath: setns/);
});

// --- seccomp and cgroups --------------------------------------------------------------------------------------------------

const seccomp = (profile: SpecSeccomp) => compileSeccomp(profile, undefined);
const denyMkdir = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 95 }],
};

for (const noNewPrivileges of [true, false]) {
  linux(
    `a seccomp filter is in force ${noNewPrivileges ? "with" : "without"} noNewPrivileges, and for execs`,
    async () => {
      const bundle = createBundle();
      const io = openOutput(join(bundle.path, "exec"));
      try {
        const spec = specOf("grep Seccomp: /proc/self/status; mkdir /tmp/a; exec sleep 100", {
          process: { noNewPrivileges, user: { uid: 9, gid: 9 } },
          linux: { seccomp: denyMkdir },
        });
        const { container, output } = await create(bundle, spec, { compileSeccomp: seccomp });
        await container.init.start();
        const exec = await container.exec({
          execId: "e1",
          process: { cwd: "/", args: ["mkdir", "/tmp/b"], env: ["PATH=/bin"], noNewPrivileges },
          stdio: io.stdio,
          signal: AbortSignal.timeout(10_000),
        });
        await exec.start();
        assert.is((await exitOf(exec)).status, 1);
        assert.match(readFileSync(join(bundle.path, "exec"), "utf8"), /Operation not supported/);
        await eventually(() => output().includes("mkdir:"));
        assert.match(output(), /Seccomp:\t2\nmkdir: .*Operation not supported/);
        container.init.kill(9);
        await exitOf(container.init);
      } finally {
        io.close();
        bundle.remove();
      }
    },
  );
}

linux(
  "a filter that notifies sends its descriptor and the container process state to the agent",
  async () => {
    const bundle = createBundle();
    const path = join(bundle.path, "agent");
    const listening = native.listenStream(path);
    try {
      const spec = specOf("true", {
        process: { noNewPrivileges: true },
        linux: {
          seccomp: {
            defaultAction: "SCMP_ACT_ALLOW",
            listenerPath: path,
            listenerMetadata: "for the agent",
            syscalls: [{ names: ["mknod"], action: "SCMP_ACT_NOTIFY" }],
          },
        },
      });
      const { container } = await create(bundle, spec, { compileSeccomp: seccomp });
      await container.init.start();
      assert.is((await exitOf(container.init)).status, 0);
      const received = native.acceptRequest(listening, 5_000);
      assert.ok(received !== undefined);
      const state = JSON.parse(String(received?.data)) as {
        fds: string[];
        pid: number;
        metadata: string;
        state: { id: string };
      };
      assert.equal(
        [state.fds, state.pid, state.metadata, state.state.id],
        [["seccompFd"], container.init.pid, "for the agent", "c1"],
      );
      assert.is(received?.fds.length, 1);
      for (const fd of [received?.fd, ...(received?.fds ?? [])]) if (fd !== undefined) closeSync(fd);
    } finally {
      closeSync(listening);
      bundle.remove();
    }
  },
);

for (const namespaced of [true, false]) {
  linux(
    `a cgroup mount shows the container its own cgroup as the root ${namespaced ? "in" : "without"} a cgroup namespace`,
    async () => {
      const bundle = createBundle();
      const name = `tandem-test-${process.pid}-${namespaced}`;
      const cgroup = openCgroup({
        cgroupsPath: `/${name}`,
        namespace: "test",
        id: name,
        systemd: false,
        resources: { pids: { limit: 77 } },
      });
      try {
        const spec = specOf(
          "cat /proc/1/cgroup; cat /sys/fs/cgroup/pids/pids.max; ls /sys/fs/cgroup; touch /sys/fs/cgroup/pids/x /sys/fs/cgroup/y",
          {
            mounts: [
              { destination: "/proc", type: "proc", source: "proc" },
              { destination: "/dev", type: "tmpfs", source: "tmpfs" },
              { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] },
              {
                destination: "/sys/fs/cgroup",
                type: "cgroup",
                source: "cgroup",
                options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
              },
            ],
            linux: {
              namespaces: [...["pid", "mount", "uts", "network"], ...(namespaced ? ["cgroup"] : [])].map(
                (type) => ({ type }),
              ),
            },
          },
        );
        const { container, output } = await create(bundle, spec, { cgroupHierarchies }, cgroup);
        assert.equal(cgroup.pids(), [container.init.pid]);
        await container.init.start();
        await exitOf(container.init);
        assert.match(output(), /\n77\n/);
        assert.match(output(), /\nmemory\n/);
        assert.match(output(), namespaced ? /:pids:\/\n/ : new RegExp(`:pids:/${name}\n`));
        assert.match(output(), /pids\/x: Read-only file system/);
        assert.match(output(), /cgroup\/y: Read-only file system/);
      } finally {
        await cgroup.remove();
        bundle.remove();
      }
    },
  );
}

linux("an exec is in the container's cgroup", async () => {
  const bundle = createBundle();
  const name = `tandem-test-${process.pid}-exec`;
  const cgroup = openCgroup({
    cgroupsPath: `/${name}`,
    namespace: "test",
    id: name,
    systemd: false,
    resources: undefined,
  });
  try {
    const { container } = await create(bundle, specOf("exec sleep 100"), {}, cgroup);
    await container.init.start();
    const exec = await container.exec({
      execId: "e1",
      process: { cwd: "/", args: ["sleep", "100"], env: ["PATH=/bin"] },
      stdio: undefined,
      signal: AbortSignal.timeout(10_000),
    });
    await exec.start();
    assert.equal(cgroup.pids().sort(), [container.init.pid, exec.pid].sort());
    cgroup.kill(9);
    assert.is((await exitOf(exec)).status, 137);
    assert.is((await exitOf(container.init)).status, 137);
  } finally {
    await cgroup.remove();
    bundle.remove();
  }
});

linux.run();
