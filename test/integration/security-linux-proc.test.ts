/** A /proc, a /dev/null or a terminal that is not the kernel's: CVE-2019-16884, CVE-2019-19921, CVE-2025-52881. */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { cloneHere, memfdOf, spawnInit } from "../../src/executor/spawn-init.ts";
import { namespaceFlags } from "../../src/isolation/namespaces.ts";
import type { Step } from "../../src/isolation/steps.ts";
import { within } from "./hostile.ts";
import {
  allCapabilities,
  createBundle,
  eventually,
  executable,
  failure,
  noCgroup,
  run,
  specOf,
} from "./linux-container.ts";

const inside = process.argv.includes("--inside");
const security = suite(`a hostile Linux container: the kernel's files${inside ? ", over another's" : ""}`);
const proc = { destination: "/proc", type: "proc", source: "proc" };
// One of those whose name leads to the same file from every namespace, so that a mount over it is in the way.
const sysctlName = "kernel.domainname";
const sysctlFile = "/proc/sys/kernel/domainname";
const powers = (...more: string[]) => {
  const names = [...allCapabilities.effective, ...more];
  return { effective: names, bounding: names, permitted: names };
};
const withAdmin = powers("CAP_SYS_ADMIN");

async function inVolume(body: (volume: string) => Promise<void>): Promise<void> {
  const place = createBundle();
  const volume = join(place.path, "volume");
  mkdirSync(join(volume, "self/attr"), { recursive: true });
  writeFileSync(join(volume, "self/attr/exec"), "");
  writeFileSync(join(volume, "meminfo"), "MemTotal: 1 kB\n");
  try {
    await body(volume);
  } finally {
    place.remove();
  }
}

if (inside) {
  // The parent test has put a file of its own over the kernel's.
  security("linux.sysctl is written to the kernel's file or not at all", async () => {
    const before = readFileSync(sysctlFile, "utf8");
    const linux = { ...specOf("true").linux, sysctl: { [sysctlName]: "written" } };
    const error = await failure(run(specOf("true", { linux })));
    assert.match(
      error.message,
      new RegExp(`linux.sysctl.${sysctlName}: open ${sysctlFile}: Invalid cross-device link`),
    );
    assert.is(readFileSync(sysctlFile, "utf8"), before);
  });
} else {
  security("linux.sysctl does not go to a file that is mounted over the kernel's (CVE-2025-52881)", () =>
    inVolume(async (volume) => {
      const fake = join(volume, "fake");
      writeFileSync(fake, "as it was\n");
      const self = fileURLToPath(import.meta.url);
      const script = `mount --bind ${fake} ${sysctlFile} && exec ${process.execPath} --no-warnings ${self} --inside`;
      const { status, stdout, stderr } = spawnSync("unshare", ["-m", "sh", "-c", script], {
        encoding: "utf8",
        timeout: 60_000,
      });
      assert.is(status, 0, stdout + stderr);
      assert.is(readFileSync(fake, "utf8"), "as it was\n");
    }),
  );

  for (const [name, mount] of [
    ["a volume", { destination: "/proc", type: "bind", options: ["rbind"] }],
    ["a tmpfs", { destination: "/proc", type: "tmpfs", source: "tmpfs" }],
  ] as const) {
    security(`${name} does not take the place of /proc (CVE-2019-19921)`, () =>
      inVolume(async (volume) => {
        const error = await failure(run(specOf("true", { mounts: [{ source: volume, ...mount }] })));
        assert.match(error.message, /\/proc: only a proc file system may be mounted there/);
      }),
    );
  }

  for (const [name, destination] of [
    ["by name", "/proc/self"],
    ["by a way round", "/tmp/../proc/sys/kernel"],
    ["through a symlink of the image", "/link/kernel"],
  ] as const) {
    security(`nothing is mounted inside /proc ${name} (CVE-2019-16884)`, () =>
      inVolume(async (volume) => {
        for (const mount of [
          { destination, type: "bind", source: volume, options: ["rbind"] },
          { destination, type: "tmpfs", source: "tmpfs" },
        ]) {
          const error = await failure(
            run(specOf("true", { mounts: [proc, mount] }), {
              prepare: ({ rootfs }) => symlinkSync("/proc/sys", join(rootfs, "link")),
            }),
          );
          assert.match(error.message, /cannot be mounted because it is inside \/proc|No such file/);
        }
      }),
    );
  }

  security("what lxcfs and the like replace in /proc may be replaced, the machine's /proc may be bound", () =>
    inVolume(async (volume) => {
      const bind = { destination: "/proc/meminfo", source: join(volume, "meminfo"), options: ["bind"] };
      const { output } = await run(specOf("cat /proc/meminfo", { mounts: [proc, bind] }));
      assert.is(output, "MemTotal: 1 kB\n");
      const whole = { destination: "/proc", type: "bind", source: "/proc", options: ["rbind"] };
      assert.is((await run(specOf("test -d /proc/1", { mounts: [whole] }))).status, 0);
    }),
  );

  security("an exec is at home in a container that has put anything over its /proc and /dev/null", () =>
    within(
      specOf(
        "mount -t tmpfs tmpfs /proc; rm /dev/null; echo x > /dev/null; rm /dev/pts/ptmx; echo ready >&2; sleep 100",
        {
          process: { capabilities: withAdmin },
        },
      ),
      async ({ exec, output }) => {
        await eventually(() => output().includes("ready"));
        const probe = ["sh", "-c", "echo hi; stat -c %F /dev/null"];
        const probed = await exec({ args: probe });
        assert.match(probed.output, /^hi\nregular file\n/);
        // Its stdin is a null device, but not the machine's, whose mode root of the container could change.
        const stdin = ["sh", "-c", "mount -t proc proc /proc; stat -L -c '%t:%T %d:%i' /proc/self/fd/0"];
        const seen = await exec({ args: stdin, capabilities: withAdmin });
        const machines = statSync("/dev/null");
        assert.match(seen.output, /^1:3 \d+:\d+\n$/);
        assert.not.match(seen.output, ` ${machines.dev}:${machines.ino}\n`);
      },
    ),
  );

  security("a label does not go to a file of a /proc that is none (CVE-2019-19921)", () => {
    const fake = "mount -t tmpfs tmpfs /proc; mkdir -p /proc/self/attr; echo before > /proc/self/attr/exec";
    const spec = specOf(`${fake}; echo ready; sleep 100`, { process: { capabilities: withAdmin } });
    return within(spec, async ({ exec, output, container }) => {
      await eventually(() => output().includes("ready"));
      // As an exec with a label writes it, on a machine that knows none.
      const steps: Step[] = [
        { op: "label", property: "process.selinuxLabel", file: "/proc/self/attr/exec", value: "leaked" },
      ];
      const fds = [openSync(`/proc/${container.init.pid}/ns/mnt`, "r"), memfdOf(steps)] as const;
      const init = await spawnInit(cloneHere, {
        executable,
        stdio: undefined,
        cgroup: noCgroup(),
        newNamespaces: 0,
        joins: [{ fd: fds[0], type: namespaceFlags.mount, property: "" }],
        onListener: () => undefined,
      });
      try {
        const error = await failure(
          init.create({ fds: [fds[1]], signal: AbortSignal.timeout(10_000) }, async () => undefined),
        );
        assert.match(error.message, /process.selinuxLabel: \/proc: is not a proc file system/);
        assert.is((await exec({ args: ["cat", "/proc/self/attr/exec"] })).output, "before\n");
      } finally {
        await init.destroy();
        for (const fd of fds) closeSync(fd);
      }
    });
  });

  for (const noPivotRoot of [false, true]) {
    security(
      `whoever makes a user namespace inside mounts no /proc without its masks, ${noPivotRoot ? "with a moved root" : "with a pivoted root"}`,
      async () => {
        const inner = "busybox unshare -U -r -m -p -f busybox mount -t proc proc /tmp";
        const linux = { ...specOf("true").linux, maskedPaths: ["/proc/interrupts"] };
        const spec = specOf(`busybox unshare -U -r true && echo may; ${inner}; ls /tmp`, {
          linux,
          process: { capabilities: powers("CAP_SETFCAP") },
        });
        const { output } = await run(spec, { noPivotRoot });
        assert.match(output, /^may\n.*(not permitted|denied)/);
      },
    );
  }

  security("a terminal is the container's devpts' or nobody's", async () => {
    const dev = { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"] };
    const spec = specOf("true", { process: { terminal: true }, mounts: [proc, dev] });
    const missing = await failure(run(spec));
    assert.match(missing.message, /process.terminal: open \/dev\/pts/);
    for (const prepare of [
      ({ rootfs }: { rootfs: string }) => mkdirSync(join(rootfs, "dev/pts/ptmx"), { recursive: true }),
      ({ rootfs }: { rootfs: string }) => symlinkSync("/proc/self/fd", join(rootfs, "dev/pts")),
      ({ rootfs }: { rootfs: string }) => symlinkSync("/sys", join(rootfs, "dev/pts")),
    ]) {
      const error = await failure(
        run(specOf("true", { process: { terminal: true }, mounts: [proc] }), { prepare }),
      );
      assert.match(error.message, /process.terminal: \/dev\/pts: is not a devpts file system/);
    }
  });

  for (const [name, put] of [
    ["a symlink", (path: string) => symlinkSync("/proc/sysrq-trigger", path)],
    ["a directory", (path: string) => mkdirSync(path)],
  ] as const) {
    security(
      `/dev/console of the image is no place for a terminal when it is ${name} (CVE-2025-52565)`,
      async () => {
        const pts = { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance"] };
        const error = await failure(
          run(specOf("true", { process: { terminal: true }, mounts: [proc, pts] }), {
            prepare: ({ rootfs }) => {
              rmSync(join(rootfs, "dev/console"), { force: true });
              put(join(rootfs, "dev/console"));
            },
          }),
        );
        assert.match(error.message, /process.terminal: \/dev\/console: is neither a file nor a device/);
      },
    );
  }
}

security.run();
