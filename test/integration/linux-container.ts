import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { defaultMounts } from "../../src/bundle/default-mounts.ts";
import { parseSpec, type Spec, type SpecProcess } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";
import type { ExecutorContainer, ExecutorProcess, ExitStatus } from "../../src/executor/executor.ts";
import { createLinuxExecutor, type LinuxExecutorOptions } from "../../src/executor/linux.ts";
import type { Cgroup } from "../../src/isolation/cgroup.ts";
import { native } from "../../src/native.ts";

const here = dirname(fileURLToPath(import.meta.url));
export const executable = native.sealExecutable(join(here, "../../native/build/Release/container-init"));

const applets = [
  "sh",
  "cat",
  "echo",
  "id",
  "ls",
  "sleep",
  "mount",
  "hostname",
  "readlink",
  "stat",
  "stty",
  "true",
  "false",
  "touch",
  "mkdir",
  "ln",
  "rm",
  "grep",
  "env",
  "kill",
  "tty",
  "dd",
  "test",
  "ip",
  "head",
  "wc",
  "ps",
];

/** A bundle directory with a root file system made of nothing but busybox. */
export function createBundle(): { readonly path: string; readonly rootfs: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "tandem-linux-"));
  chmodSync(path, 0o755);
  const rootfs = join(path, "rootfs");
  for (const directory of ["bin", "proc", "sys", "dev", "tmp", "etc", "root"])
    mkdirSync(join(rootfs, directory), { recursive: true });
  copyFileSync("/bin/busybox", join(rootfs, "bin/busybox"));
  for (const applet of applets) symlinkSync("busybox", join(rootfs, "bin", applet));
  return { path, rootfs, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export const allCapabilities = (() => {
  const names = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_NET_BIND_SERVICE",
    "CAP_MKNOD",
    "CAP_SYS_CHROOT",
  ];
  return { effective: names, bounding: names, permitted: names };
})();

/** A spec as a container engine writes it, running a shell script. */
export function specOf(
  script: string,
  change: { process?: Partial<SpecProcess>; linux?: object; [key: string]: unknown } = {},
): Spec {
  const { process, linux, ...rest } = change;
  const spec = {
    ociVersion: "1.2.0",
    root: { path: "rootfs" },
    hostname: "boxed",
    process: {
      cwd: "/",
      args: ["sh", "-c", script],
      env: ["PATH=/usr/bin:/bin"],
      capabilities: allCapabilities,
      ...process,
    },
    // Some of these containers are in the machine's network namespace, whose /sys is not theirs to mount.
    mounts: defaultMounts.filter(({ type }) => type !== "sysfs"),
    linux: {
      namespaces: [{ type: "pid" }, { type: "mount" }, { type: "uts" }, { type: "ipc" }, { type: "network" }],
      ...linux,
    },
    ...rest,
  };
  return parseSpec(JSON.stringify(spec));
}

/** A cgroup without any hierarchy, so that nobody can be put into it. */
export function noCgroup(): Cgroup {
  return { dirs: [], entrance: () => ({ taskFiles: [], unified: undefined }) } as unknown as Cgroup;
}

export interface Running {
  readonly container: ExecutorContainer;
  readonly output: () => string;
}

export type Options = Partial<LinuxExecutorOptions>;

/** Creates a container whose stdout and stderr go to a file of the bundle. */
export async function create(
  bundle: { path: string; rootfs: string },
  spec: Spec,
  options: Options = {},
  cgroup: Cgroup = noCgroup(),
): Promise<Running> {
  const executor = createLinuxExecutor({
    executable,
    cgroupHierarchies: () => [],
    compileSeccomp: () => {
      throw new Error("no seccomp in this test");
    },
    warn: () => undefined,
    ...options,
  });
  const io = spec.process?.terminal === true ? undefined : openOutput(join(bundle.path, "output"));
  try {
    const container = await executor.create({
      id: "c1",
      namespace: "test",
      bundle: bundle.path,
      rootfs: bundle.rootfs,
      spec,
      cgroup,
      stdio: io?.stdio,
      signal: AbortSignal.timeout(20_000),
    });
    return { container, output: () => readFileSync(join(bundle.path, "output"), "utf8") };
  } finally {
    io?.close();
  }
}

export function openOutput(path: string): {
  readonly stdio: { stdin: number; stdout: number; stderr: number };
  close(): void;
} {
  const stdin = openSync("/dev/null", "r");
  const stdout = openSync(path, "w+");
  return {
    stdio: { stdin, stdout, stderr: stdout },
    close: () => {
      closeSync(stdin);
      closeSync(stdout);
    },
  };
}

/** The exit of a process, or a kill and an error after ten seconds. */
export async function exitOf(process: ExecutorProcess): Promise<ExitStatus> {
  const timer = setTimeout(() => process.kill(9), 10_000);
  try {
    return await process.exited;
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a container to its end and returns what it wrote. */
export async function run(
  spec: Spec,
  options: Options & { readonly prepare?: (bundle: { path: string; rootfs: string }) => void } = {},
): Promise<{ readonly output: string; readonly status: number }> {
  const { prepare, ...rest } = options;
  const bundle = createBundle();
  try {
    prepare?.(bundle);
    const { container, output } = await create(bundle, spec, rest);
    await container.init.start().catch(async (error: unknown) => {
      await exitOf(container.init);
      throw error;
    });
    const { status } = await exitOf(container.init);
    await container.release();
    return { output: output(), status };
  } finally {
    bundle.remove();
  }
}

/** The TandemError that a promise must fail with. */
export async function failure(promise: Promise<unknown>): Promise<TandemError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, TandemError);
    return error as TandemError;
  }
  throw new Error("was expected to fail");
}

export const lines = (text: string): string[] => text.trimEnd().split("\n");

/** Waits up to 5 s; the caller asserts the condition afterwards. */
export async function eventually(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 5_000; Date.now() < end && !condition(); ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What a terminal shows, until `until` matches, the other side closes or 10 s are over. */
export async function screen(fd: number, until: RegExp): Promise<string> {
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
