import { chmodSync, mkdirSync, mkdtempSync, rmdirSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/native.ts";
import { failure, lines, run, specOf } from "./linux-container.ts";

const linux = suite("linux executor: mounts");

const base = [
  { destination: "/proc", type: "proc", source: "proc" },
  { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"] },
];
const [MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME] = [2, 4, 8, 0x400];
const mapping = (hostID: number) => [{ containerID: 0, hostID, size: 1000 }];

const [major = 0, minor = 0] = release().split(".").map(Number);
/** Linux 6.3 is the first that maps the owners of a tmpfs. */
const mapsTmpfs = major > 6 || (major === 6 && minor >= 3) ? linux : linux.skip;

/** Per-mount options of a path, as the container's mountinfo has them. */
const optionsOf = (mountinfo: string, path: string): string =>
  lines(mountinfo)
    .map((line) => line.split(" "))
    .filter((fields) => fields[4] === path)
    .map((fields) => fields[5])
    .at(-1) ?? "";

mapsTmpfs("a tmpfs is id-mapped by mappings of its own, with its options and attributes", async () => {
  const mounts = [
    ...base,
    {
      destination: "/mapped",
      type: "tmpfs",
      source: "mapped",
      options: ["idmap", "size=64k", "mode=0750", "nosuid", "noexec", "noatime"],
      uidMappings: mapping(7000),
      gidMappings: mapping(8000),
    },
  ];
  const { output } = await run(specOf("stat -c '%u %g %a' /mapped; cat /proc/self/mountinfo", { mounts }));
  assert.match(output, /^7000 8000 750\n/);
  assert.is(optionsOf(output, "/mapped"), "rw,nosuid,noexec,noatime,idmapped");
  assert.match(output, /\/mapped .* - tmpfs mapped rw,size=64k,mode=750/);
});

mapsTmpfs(
  "a tmpfs is id-mapped by the container's user namespace, and read-only once it is filled",
  async () => {
    const ids = (hostID: number) => [{ containerID: 0, hostID, size: 65_536 }];
    const spec = specOf("stat -c '%u %g' /mapped; touch /mapped/x; stat -c %u /mapped/in", {
      mounts: [
        ...base,
        { destination: "/mapped", type: "tmpfs", source: "tmpfs", options: ["idmap", "ro"] },
        { destination: "/mapped/in", type: "bind", source: "rootfs/etc", options: ["rbind", "ridmap"] },
      ],
      linux: {
        namespaces: ["pid", "mount", "uts", "ipc", "network", "user"].map((type) => ({ type })),
        uidMappings: ids(100_000),
        gidMappings: ids(200_000),
      },
    });
    const { output } = await run(spec, { prepare: ({ rootfs }) => chmodSync(rootfs, 0o777) });
    assert.match(output, /^0 0\n/);
    assert.match(output, /Read-only file system/);
    assert.match(output, /\n0\n$/);
  },
);

linux("a file system that the kernel does not map is refused by its mount", async () => {
  const mount = {
    destination: "/q",
    type: "mqueue",
    source: "mqueue",
    options: ["idmap"],
    uidMappings: mapping(1),
    gidMappings: mapping(1),
  };
  const error = await failure(run(specOf("true", { mounts: [...base, mount] })));
  assert.match(error.message, /mounts\[2\] \/q: mount_setattr idmap of mqueue: Invalid argument/);
});

linux("a tmpfs has the mode of the directory that it covers, unless it is given one", async () => {
  const mounts = [
    ...base,
    { destination: "/covered", type: "tmpfs", source: "tmpfs", options: ["size=64k"] },
    { destination: "/given", type: "tmpfs", source: "tmpfs", options: ["mode=711"] },
    { destination: "/made", type: "tmpfs", source: "tmpfs" },
  ];
  const { output } = await run(specOf("stat -c %a /covered /given /made", { mounts }), {
    prepare: ({ rootfs }) => {
      for (const name of ["covered", "given"]) {
        mkdirSync(join(rootfs, name));
        chmodSync(join(rootfs, name), 0o2705);
      }
    },
  });
  assert.equal(lines(output), ["2705", "711", "1777"]);
});

linux("a bind without options has its source's, one with options these and no others", async () => {
  const binds = [
    ["/plain", ["rbind"]],
    ["/ro", ["rbind", "ro"]],
    ["/exec", ["bind", "exec"]],
    ["/both", ["rbind", "ro", "nosuid"]],
  ] as const;
  const source = mkdtempSync(join(tmpdir(), "tandem-mount-"));
  native.mount("tmpfs", source, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME, "");
  try {
    const mounts = binds.map(([destination, options]) => ({ destination, type: "bind", source, options }));
    const { output } = await run(specOf("cat /proc/self/mountinfo", { mounts: [...base, ...mounts] }));
    assert.is(optionsOf(output, "/plain"), "rw,nosuid,nodev,noexec,noatime");
    assert.is(optionsOf(output, "/ro"), "ro,noatime");
    assert.is(optionsOf(output, "/exec"), "rw,noatime");
    assert.is(optionsOf(output, "/both"), "ro,nosuid,noatime");
  } finally {
    native.unmount(source, 0);
    rmdirSync(source);
  }
});

linux("a bind that is remounted changes what is mounted there", async () => {
  const spec = specOf("cat /proc/self/mountinfo; touch /dev/shm/x", {
    mounts: [
      ...base,
      { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "noexec"] },
      { destination: "/dev/shm", type: "none", source: "shm", options: ["bind", "remount", "ro", "nodev"] },
    ],
  });
  const { output } = await run(spec);
  assert.is(optionsOf(output, "/dev/shm"), "ro,nodev,relatime");
  assert.match(output, /Read-only file system/);
});

linux("a remount changes the file system itself", async () => {
  const spec = specOf("cat /proc/self/mountinfo; dd if=/dev/zero of=/dev/shm/x bs=4k count=4", {
    mounts: [
      ...base,
      { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["size=1m"] },
      { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["remount", "size=8k", "nosuid"] },
    ],
  });
  const { output } = await run(spec);
  assert.match(output, /\/dev\/shm rw,nosuid,relatime .*size=8k/);
  assert.match(output, /No space left on device/);
});

linux("recursive attributes reach the mounts beneath", async () => {
  const spec = specOf("cat /proc/self/mountinfo; touch /again/in/x", {
    mounts: [
      ...base,
      { destination: "/outer", type: "tmpfs", source: "tmpfs" },
      {
        destination: "/again",
        type: "bind",
        source: "/proc",
        options: ["rbind", "rro", "rnosymfollow", "rnoatime"],
      },
    ],
  });
  const { output } = await run(spec);
  for (const fields of lines(output).map((line) => line.split(" ")))
    if (fields[4]?.startsWith("/again"))
      assert.match(fields[5] ?? "", /^ro,.*noatime.*nosymfollow/, fields[4]);
});

linux("a mount propagates as its option says", async () => {
  const kinds = ["shared", "rshared", "private", "rprivate", "unbindable", "runbindable"];
  const spec = specOf("cat /proc/self/mountinfo", {
    mounts: [
      ...base,
      ...kinds.map((kind) => ({ destination: `/${kind}`, type: "tmpfs", source: "tmpfs", options: [kind] })),
      { destination: "/bound", type: "bind", source: "/proc/self", options: ["rbind", "rshared"] },
    ],
  });
  const { output } = await run(spec);
  const tags = (path: string): string =>
    lines(output)
      .find((line) => line.split(" ")[4] === path)
      ?.replace(/^(\S+ ){6}/, "")
      .replace(/ ?- .*/, "") ?? "";
  assert.match(tags("/shared"), /^shared:\d+$/);
  assert.match(tags("/rshared"), /^shared:\d+$/);
  assert.match(tags("/bound"), /shared:\d+/);
  assert.is(tags("/private"), "");
  assert.is(tags("/rprivate"), "");
  assert.is(tags("/unbindable"), "unbindable");
  assert.is(tags("/runbindable"), "unbindable");
});

linux("file system options and flags of the superblock reach the kernel", async () => {
  const spec = specOf("grep ' /t ' /proc/self/mountinfo", {
    mounts: [
      ...base,
      {
        destination: "/t",
        type: "tmpfs",
        source: "named",
        options: ["sync", "dirsync", "lazytime", "nr_inodes=77", "strictatime"],
      },
    ],
  });
  assert.match((await run(spec)).output, / \/t rw - tmpfs named rw,sync,dirsync,lazytime,nr_inodes=77/);
});

linux("mounts are made in their order and destinations may be relative", async () => {
  const spec = specOf("cat /a/b/file; cat /a/file || echo hidden", {
    mounts: [
      ...base,
      { destination: "a", type: "tmpfs", source: "tmpfs" },
      { destination: "a/b", type: "bind", source: "data", options: ["bind"] },
    ],
  });
  const { output } = await run(spec, {
    prepare: ({ path, rootfs }) => {
      mkdirSync(join(path, "data"));
      writeFileSync(join(path, "data/file"), "bound\n");
      mkdirSync(join(rootfs, "a"));
      writeFileSync(join(rootfs, "a/file"), "covered\n");
    },
  });
  assert.match(output, /^bound\n/);
  assert.match(output, /hidden/);
});

linux.run();
