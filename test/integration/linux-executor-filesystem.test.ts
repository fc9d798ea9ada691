import { chownSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { create, createBundle, exitOf, failure, lines, run, specOf } from "./linux-container.ts";

const linux = suite("linux executor: file system");

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
          // With the bits of the file's kind, as podman has it from st_mode.
          { type: "p", path: "/dev/pipe", fileMode: 0o010600 },
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

linux.run();
