import { closeSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseSpec, type SpecSeccomp } from "../../src/bundle/spec.ts";
import { cgroupHierarchies } from "../../src/executor/cgroup-hierarchies.ts";
import { cgroupLayout } from "../../src/isolation/cgroup/layout.ts";
import { openCgroup } from "../../src/isolation/cgroup.ts";
import { compileSeccomp } from "../../src/isolation/seccomp.ts";
import { native } from "../../src/native.ts";
import { create, createBundle, eventually, exitOf, openOutput, run, specOf } from "./linux-container.ts";

const linux = suite("linux executor: seccomp and cgroups");

const seccomp = (profile: SpecSeccomp) => compileSeccomp(profile, undefined);
const denyMkdir = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 95 }],
};

linux("an argument of 64 bits is compared to its last bit", async () => {
  // One more than a double holds: rounded, the rule would be about the other size.
  const [meant, other] = ["9007199254740993", "9007199254740992"];
  const args = [{ index: 1, op: "SCMP_CMP_EQ", value: 0 }];
  const profile = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["ftruncate"], action: "SCMP_ACT_ERRNO", errnoRet: 95, args }],
  };
  const script = `busybox truncate -s ${meant} /tmp/a; busybox truncate -s ${other} /tmp/b`;
  const text = JSON.stringify(specOf(script, { linux: { seccomp: profile } }));
  const { output } = await run(parseSpec(text.replace('"value":0', `"value":${meant}`)), {
    compileSeccomp: seccomp,
  });
  const [first = "", second = ""] = output.split("\n");
  assert.match(first, /Operation not supported/);
  assert.not.match(second, /Operation not supported/);
});

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
  "a profile from before faccessat2, close_range and openat2 does not keep a container from starting",
  async () => {
    const bundle = createBundle();
    try {
      const old = {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [
          {
            names: ["faccessat2", "close_range", "openat2", "getcwd"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 1,
          },
        ],
      };
      const spec = specOf("echo started", { process: { noNewPrivileges: false }, linux: { seccomp: old } });
      const { container, output } = await create(bundle, spec, { compileSeccomp: seccomp });
      await container.init.start();
      assert.is((await exitOf(container.init)).status, 0);
      assert.is(output(), "started\n");
    } finally {
      bundle.remove();
    }
  },
);

linux(
  "a filter that notifies sends its descriptor and the container process state to the agent",
  async () => {
    const bundle = createBundle();
    const path = join(bundle.path, "agent");
    const listening = native.listenStream(path);
    const io = openOutput(join(bundle.path, "exec"));
    try {
      const spec = specOf("exec sleep 1000", {
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
      const { pid } = container.init;
      const own = { id: "c1", status: "creating", pid };
      assert.equal(hearAgent(listening), { fds: ["seccompFd"], pid, metadata: "for the agent", state: own });
      const exec = await container.exec({
        execId: "e1",
        process: { cwd: "/", args: ["true"], env: ["PATH=/bin"], noNewPrivileges: true },
        stdio: io.stdio,
        signal: AbortSignal.timeout(10_000),
      });
      await exec.start();
      // Another process of a container that runs: two pids.
      const running = { id: "c1", status: "running", pid };
      const heard = hearAgent(listening);
      assert.equal([heard["pid"], heard["state"]], [exec.pid, running]);
      await exitOf(exec);
      container.init.kill(9);
      await exitOf(container.init);
    } finally {
      io.close();
      closeSync(listening);
      bundle.remove();
    }
  },
);

/** What an agent is told, as far as it differs from container to container; the descriptor that comes with it is one. */
function hearAgent(listening: number): Record<string, unknown> {
  const received = native.acceptRequest(listening, 5_000);
  assert.ok(received !== undefined);
  assert.is(received.fds.length, 1);
  for (const fd of [received.fd, ...received.fds]) closeSync(fd);
  const { fds, pid, metadata, state } = JSON.parse(String(received.data)) as Record<string, unknown> & {
    state: Record<string, unknown>;
  };
  return { fds, pid, metadata, state: { id: state["id"], status: state["status"], pid: state["pid"] } };
}

const isV2 = cgroupLayout().mode === "v2";
const pids = isV2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids";

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
        resources: { pids: { limit: 77 } },
      });
      try {
        const spec = specOf(
          `cat /proc/1/cgroup; cat ${pids}/pids.max; ls /sys/fs/cgroup; touch ${pids}/x /sys/fs/cgroup/y`,
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
        assert.match(output(), isV2 ? /\nmemory\.max\n/ : /\nmemory\n/);
        assert.match(output(), new RegExp(`^${isV2 ? "0:" : "\\d+:pids"}:/${namespaced ? "" : name}$`, "m"));
        assert.match(output(), /\/x: Read-only file system/);
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
