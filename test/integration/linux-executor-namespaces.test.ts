import { chownSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  create,
  createBundle,
  eventually,
  exitOf,
  failure,
  lines,
  openOutput,
  run,
  specOf,
} from "./linux-container.ts";

const linux = suite("linux executor: namespaces");

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
  assert.match((await failure(run(wrong))).message, /linux\.namespaces\[1\] network: setns/);
});

linux.run();
