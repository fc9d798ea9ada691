/** Classes of escape from a Linux container, each with an attempt that must fail (SECURITY.md). */
import {
  chmodSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import { create, createBundle, exitOf, run, specOf } from "./linux-container.ts";

const security = suite("a hostile Linux container");

/** What the test itself was started with is not the hooks' fault. */
const inherited = readdirSync("/proc/self/fd").filter((fd) => Number(fd) > 2);

async function failure(promise: Promise<unknown>): Promise<TandemError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.instance(error, TandemError);
  return error as TandemError;
}

security("the machine's /dev/null is not among its streams: its mode and owner stay", async () => {
  const before = statSync("/dev/null");
  const { output, status } = await run(
    specOf(
      'stat -L -c "%d:%i %t:%T" /proc/self/fd/0 /dev/null; chmod 0 /proc/self/fd/0; stat -c %a /dev/null',
    ),
  );
  const [stdin = "", own = "", mode] = output.trim().split("\n");
  assert.is(status, 0);
  assert.is(stdin, own);
  assert.match(stdin, / 1:3$/);
  assert.is.not(stdin.split(" ")[0], `${before.dev}:${before.ino}`);
  assert.is(mode, "0");
  const after = statSync("/dev/null");
  assert.equal([after.mode, after.uid], [before.mode, before.uid]);
});

security("no hook inherits the shim's socket or another descriptor", async () => {
  const directory = createBundle();
  const list = (name: string) => ({
    path: "/bin/sh",
    args: ["sh", "-c", `ls -l /proc/self/fd > ${name}`],
    env: ["PATH=/usr/bin:/bin"],
  });
  const host = (kind: string) => list(join(directory.path, kind));
  try {
    const hooks = {
      createRuntime: [host("createRuntime")],
      createContainer: [host("createContainer")],
      startContainer: [list("/tmp/startContainer")],
      poststop: [host("poststop")],
    };
    const { output } = await run(specOf("cat /tmp/startContainer", { hooks }));
    const seen = [
      ...["createRuntime", "createContainer", "poststop"].map((kind) =>
        readFileSync(join(directory.path, kind), "utf8"),
      ),
      output,
    ];
    for (const [index, listing] of seen.entries()) {
      const opened = [...listing.matchAll(/ (\d+) -> (.*)$/gm)].filter(
        ([, fd, target]) => Number(fd) > 2 && !inherited.includes(fd ?? "") && !/\/fd$/.test(target ?? ""),
      );
      assert.equal(
        opened.map(([line]) => line),
        [],
        `hook ${index}: ${listing}`,
      );
      assert.match(listing, / 0 -> /);
    }
  } finally {
    directory.remove();
  }
});

security("what container-init is executed from cannot be written", async () => {
  const bundle = createBundle();
  const { container } = await create(bundle, specOf("true"));
  try {
    assert.throws(() => openSync(`/proc/${container.init.pid}/exe`, "r+"), /EPERM|ETXTBSY|EACCES/);
  } finally {
    container.init.kill(9);
    await exitOf(container.init);
    await container.release();
    bundle.remove();
  }
});

security("a mask is the kernel's null device or nothing (CVE-2025-31133)", async () => {
  const { mounts = [] } = specOf("true");
  const withoutDev = mounts.filter(({ destination }) => !destination.startsWith("/dev"));
  const prepare = ({ rootfs }: { rootfs: string }): void => {
    symlinkSync("/proc/sys/kernel/core_pattern", join(rootfs, "dev/null"));
  };
  const spec = specOf("cat /etc/secret", {
    mounts: withoutDev,
    linux: { ...specOf("true").linux, maskedPaths: ["/etc/secret"] },
  });
  const result = await run(spec, {
    prepare: (bundle) => {
      prepare(bundle);
      writeFileSync(join(bundle.rootfs, "etc/secret"), "core");
      chmodSync(join(bundle.rootfs, "etc/secret"), 0o666);
    },
  }).catch((error: unknown) => error);
  if (result instanceof TandemError) assert.match(result.message, /null/);
  else assert.is((result as { output: string }).output, "");
});

for (const target of ["/proc", "/sys"]) {
  security(
    `${target} is not mounted behind a symlink of the image (CVE-2019-16884, CVE-2023-27561)`,
    async () => {
      const type = target === "/proc" ? "proc" : "sysfs";
      const mounts = [{ destination: target, type, source: type }];
      const error = await failure(
        run(specOf("true", { mounts }), {
          prepare: ({ rootfs }) => {
            rmSync(join(rootfs, target), { recursive: true });
            symlinkSync("/tmp", join(rootfs, target));
          },
        }),
      );
      assert.match(error.message, /symlink/);
    },
  );
}

security(
  "a mount's target is resolved within the rootfs, whatever its symlinks say (CVE-2021-30465)",
  async () => {
    const outside = createBundle();
    const volume = createBundle();
    writeFileSync(join(volume.path, "marker"), "from the volume");
    const { mounts = [] } = specOf("true");
    const bind = { destination: "/data/inner", type: "bind", source: volume.path, options: ["bind", "ro"] };
    try {
      const { output } = await run(
        specOf(`cat ${outside.path}/inner/marker`, { mounts: [...mounts, bind] }),
        {
          prepare: ({ rootfs }) => symlinkSync(outside.path, join(rootfs, "data")),
        },
      );
      assert.is(output, "from the volume");
      assert.throws(() => statSync(join(outside.path, "inner")), /ENOENT/);
    } finally {
      outside.remove();
      volume.remove();
    }
  },
);

security.run();
