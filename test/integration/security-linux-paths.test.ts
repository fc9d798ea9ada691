/** Every path that config.json carries, with `..` and symlinks of the image in it: none leads out of the container's root. */
import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseSpec } from "../../src/bundle/spec.ts";
import { openCgroup } from "../../src/isolation/cgroup.ts";
import { arm, within } from "./hostile.ts";
import { create, createBundle, exitOf, failure, run, specOf } from "./linux-container.ts";

const security = suite("a hostile Linux container: paths");
const base = specOf("true").mounts ?? [];
const climb = "/../".repeat(20);

/** A directory of the machine's that nothing may be made or changed in. */
async function guarded(
  body: (outside: string, place: { path: string; rootfs: string }) => Promise<void>,
): Promise<void> {
  const place = createBundle();
  const outside = join(place.path, "outside");
  mkdirSync(outside, { mode: 0o755 });
  writeFileSync(join(outside, "file"), "the machine's\n");
  const before = statSync(join(outside, "file"));
  try {
    await body(outside, place);
    assert.equal(readdirSync(outside), ["file"]);
    const after = statSync(join(outside, "file"));
    assert.equal([after.mode, after.uid, after.size], [before.mode, before.uid, before.size]);
  } finally {
    place.remove();
  }
}

/** The ways to name `outside` that an image or a pod has. */
const ways: readonly {
  readonly name: string;
  readonly path: (outside: string) => string;
  readonly prepare: (rootfs: string, outside: string) => void;
}[] = [
  { name: "..", path: (outside) => `${climb}${outside}`, prepare: () => undefined },
  {
    name: ".. behind a directory that is not there",
    path: (outside) => `/nothing/../${climb}${outside}`,
    prepare: () => undefined,
  },
  {
    name: "an absolute symlink",
    path: () => "/link",
    prepare: (rootfs, outside) => symlinkSync(outside, join(rootfs, "link")),
  },
  {
    name: "a climbing symlink",
    path: () => "/link",
    prepare: (rootfs, outside) => symlinkSync(`${climb.slice(1)}${outside}`, join(rootfs, "link")),
  },
  {
    name: "a link to a link into /proc/self/root",
    path: () => "/link",
    prepare: (rootfs, outside) => symlinkSync(`/proc/self/root${outside}`, join(rootfs, "link")),
  },
];

for (const { name, path, prepare } of ways) {
  security(`mounts and devices: ${name}`, () =>
    guarded(async (outside, place) => {
      const there = path(outside);
      const mounts = [
        ...base,
        { destination: `${there}/bound`, type: "bind", source: place.rootfs, options: ["rbind"] },
        { destination: `${there}/tmp`, type: "tmpfs", options: ["tmpcopyup"] },
      ];
      const devices = [{ type: "c", path: `${there}/null`, major: 1, minor: 3, fileMode: 0o600 }];
      const spec = specOf("true", { mounts, linux: { ...specOf("true").linux, devices } });
      // A magic link is refused; everything else is made inside.
      await run(spec, { prepare: ({ rootfs }) => prepare(rootfs, outside) }).catch((error: Error) =>
        assert.match(error.message, /mounts\[\d\] .*Too many|linux.devices|Too many levels/),
      );
    }),
  );

  security(`masked and read-only paths: ${name}`, () =>
    guarded(async (outside) => {
      const there = path(outside);
      const linux = {
        ...specOf("true").linux,
        maskedPaths: [`${there}/file`],
        readonlyPaths: [there],
      };
      await run(specOf("true", { linux }), { prepare: ({ rootfs }) => prepare(rootfs, outside) }).catch(
        (error: Error) => assert.match(error.message, /(masked|readonly)Paths.*Too many levels/),
      );
      // Not even while it lives: nothing is mounted on the machine's.
      assert.is(statSync(join(outside, "file")).isFile(), true);
    }),
  );

  security(`process.cwd: ${name}`, () =>
    guarded(async (outside) => {
      const cwd = `${path(outside)}/made`;
      const result = await run(specOf("pwd; ls ..", { process: { cwd } }), {
        prepare: ({ rootfs }) => prepare(rootfs, outside),
      }).catch((error: Error) => assert.match(error.message, /process.cwd.*Too many levels/));
      if (result !== undefined) assert.is(result.output, `${outside}/made\nmade\n`);
    }),
  );
}

security("process.cwd: a descriptor of the runtime's, for init and for exec (CVE-2024-21626)", () =>
  within(specOf("sleep 100"), async ({ exec }) => {
    for (let fd = 0; fd < 24; fd++) {
      for (const cwd of [
        `/proc/self/fd/${fd}`,
        `/proc/self/fd/${fd}/../../..`,
        `/proc/thread-self/fd/${fd}`,
      ]) {
        const error = await failure(exec({ cwd, args: ["ls"] }));
        assert.match(error.message, /process.cwd/);
      }
    }
    const prepare = (bundle: { rootfs: string }): void => {
      arm(bundle);
      symlinkSync("/proc/self/fd/3", join(bundle.rootfs, "link"));
    };
    for (const cwd of ["/proc/self/fd/3", "/proc/self/cwd", "/proc/1/root/..", "/link"]) {
      const error = await failure(run(specOf("ls", { process: { cwd } }), { prepare }));
      assert.match(error.message, /process.cwd/, cwd);
    }
  }),
);

security("args and PATH: found in the container's root, by its user", async () => {
  await guarded(async (outside) => {
    for (const PATH of [`${climb}${outside}`, outside, ":", "/proc/self/fd"]) {
      const error = await failure(
        run(specOf("", { process: { args: ["file"], env: [`PATH=${PATH}`] } }), {
          prepare: ({ rootfs }) => writeFileSync(join(rootfs, "etc/file"), "", { mode: 0o644 }),
        }),
      );
      assert.match(error.message, /exec: "file": /);
    }
  });
});

security("hooks, devices, masks and namespaces: a path that is not absolute is refused", () => {
  const refuse = (change: Parameters<typeof specOf>[1], message: RegExp): void => {
    assert.throws(() => specOf("true", change), message);
  };
  for (const kind of [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
  ])
    refuse({ hooks: { [kind]: [{ path: "sh" }] } }, /hooks\..*path: must be an absolute path/);
  refuse({ linux: { devices: [{ type: "c", path: "dev/x" }] } }, /devices.*path: must be an absolute path/);
  refuse({ linux: { maskedPaths: ["proc/kcore"] } }, /maskedPaths.*must be an absolute path/);
  refuse({ linux: { readonlyPaths: ["../x"] } }, /readonlyPaths.*must be an absolute path/);
  refuse({ process: { cwd: "tmp" } }, /process.cwd: must be an absolute path/);
  assert.throws(
    () => parseSpec('{"ociVersion":"1.2.0","root":{"path":"a\\u0000b"}}'),
    /root.path: must be a string without NUL/,
  );
});

security("linux.cgroupsPath: no way up", () => {
  for (const cgroupsPath of ["/..", "/a/../../b", "../x", "/", ".", "/a/.."]) {
    assert.throws(
      () => openCgroup({ cgroupsPath, namespace: "n", id: "i", resources: undefined }),
      /linux.cgroupsPath/,
      cgroupsPath,
    );
  }
  for (const id of ["..", "a/../../b"]) {
    assert.throws(
      () => openCgroup({ cgroupsPath: undefined, namespace: "n", id, resources: undefined }),
      /linux.cgroupsPath/,
    );
  }
});

security(
  "linux.sysctl: nothing that no namespace of the container's confines, however it is spelt",
  async () => {
    for (const key of [
      "kernel.core_pattern",
      "kernel/core_pattern",
      "net/../kernel/core_pattern",
      "net.ipv4/../../kernel/core_pattern",
      "net....kernel.core_pattern",
      "net.ipv4./../kernel/core_pattern",
      "fs.mqueue/../../kernel/core_pattern",
      "fs.mqueue.",
      "vm.overcommit_memory",
      "user.max_user_namespaces",
    ]) {
      const error = await failure(
        run(specOf("true", { linux: { ...specOf("true").linux, sysctl: { [key]: "x" } } })),
      );
      assert.match(error.message, /^linux\.sysctl\./, key);
    }
  },
);

security("hostname and sysctl: not of a namespace that is the runtime's own by path", async () => {
  const linux = (type: string, file: string, more: object) => ({
    ...more,
    namespaces: [{ type: "mount" }, { type: "pid" }, { type, path: `/proc/self/ns/${file}` }],
  });
  const hostname = await failure(run(specOf("true", { linux: linux("uts", "uts", {}) })));
  assert.match(hostname.message, /hostname: needs a uts namespace/);
  const sysctl = { "net.ipv4.ip_forward": "1" };
  const forward = await failure(
    run(specOf("true", { hostname: "", linux: linux("network", "net", { sysctl }) })),
  );
  assert.match(forward.message, /ip_forward: needs a network namespace/);
});

security("root.path: what it leads to is the root, also behind a symlink", async () => {
  const bundle = createBundle();
  const link = join(bundle.path, "link");
  try {
    symlinkSync("rootfs", link);
    const { container, output } = await create({ path: bundle.path, rootfs: link }, specOf("echo /*"));
    await container.init.start();
    await exitOf(container.init);
    assert.is(output(), "/bin /dev /etc /proc /root /sys /tmp\n");
  } finally {
    bundle.remove();
  }
});

security.run();
