import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure, lines, run, specOf } from "./linux-container.ts";

const linux = suite("linux executor: process");

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

linux("a working directory as deep as a path can be is made as any other", async () => {
  const cwd = `/${Array.from({ length: 2000 }, () => "x").join("/")}`;
  const { output, status } = await run(specOf("pwd", { process: { cwd } }));
  assert.equal([output.trim().length, status], [cwd.length, 0]);
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

linux("memory comes from the nodes that memoryPolicy names", async () => {
  const shown = async (memoryPolicy: object): Promise<string> => {
    const { output } = await run(specOf("head -n1 /proc/self/numa_maps", { linux: { memoryPolicy } }));
    return output.split(" ")[1] ?? "";
  };
  assert.is(await shown({ mode: "MPOL_DEFAULT" }), "default");
  assert.is(await shown({ mode: "MPOL_BIND", nodes: "0" }), "bind:0");
  assert.is(
    await shown({ mode: "MPOL_INTERLEAVE", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] }),
    "interleave=static:0",
  );
  assert.is(
    await shown({ mode: "MPOL_PREFERRED", nodes: "0", flags: ["MPOL_F_RELATIVE_NODES"] }),
    "prefer=relative:0",
  );
  assert.is(await shown({ mode: "MPOL_PREFERRED" }), "local");
  assert.is(await shown({ mode: "MPOL_LOCAL" }), "local");
  const error = await failure(shown({ mode: "MPOL_BIND", nodes: "1000" }));
  assert.match(error.message, /linux\.memoryPolicy: set_mempolicy: Invalid argument/);
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
  assert.is((await home(10, ["HOME="])).output, "/home/ann\n");
});

linux("of a variable that is there twice the program sees the later one", async () => {
  const env = ["A=1", "PATH=/bin", "A=2", "HOME=/"];
  const { output } = await run(specOf("grep -z ^A /proc/self/environ", { process: { env } }));
  assert.is(output, "A=2\0");
});

linux("a working directory that only root may enter is entered", async () => {
  const process = { cwd: "/closed", user: { uid: 9, gid: 9 } };
  const { output } = await run(specOf("readlink /proc/self/cwd", { process }), {
    prepare: ({ rootfs }) => mkdirSync(join(rootfs, "closed"), { mode: 0o700 }),
  });
  assert.is(output, "/closed\n");
});

linux("a capability that is none is left out", async () => {
  const bounding = ["CAP_KILL", "CAP_FLY"];
  const { output } = await run(
    specOf("grep CapBnd /proc/self/status", { process: { capabilities: { bounding } } }),
  );
  assert.is(output, "CapBnd:\t0000000000000020\n");
});

linux("mounts propagate as rootfsPropagation says", async () => {
  const shown = async (rootfsPropagation: string) =>
    (await run(specOf("head -n1 /proc/self/mountinfo", { linux: { rootfsPropagation } }))).output;
  assert.match(await shown("rshared"), / shared:\d+ - /);
  assert.not.match(await shown("rprivate"), /shared:|master:/);
  assert.match(await shown("unbindable"), / unbindable - /);
});

linux.run();
