import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
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
  specOf,
} from "./linux-container.ts";

const linux = suite("linux executor: mount namespaces that are not the container's own");
const others = [{ type: "pid" }, { type: "uts" }, { type: "ipc" }, { type: "network" }];
const script = "ls -d /*; readlink /proc/self/ns/mnt; touch /etc/x || echo readonly; exec sleep 100";

/** Where a bundle is mounted, as a process sees it. */
function mountsOf(bundle: string, pid: number | "self"): string[] {
  return lines(readFileSync(`/proc/${pid}/mountinfo`, "utf8"))
    .filter((line) => line.includes(basename(bundle)))
    .map((line) => line.split(" ")[4] ?? "");
}

async function live(mount: readonly object[], pid: number | "self"): Promise<void> {
  const bundle = createBundle();
  const io = openOutput(join(bundle.path, "exec"));
  let end = async (): Promise<void> => undefined;
  const namespace = readlinkSync(`/proc/${pid}/ns/mnt`);
  writeFileSync(join(bundle.rootfs, "etc/masked"), "secret");
  try {
    const spec = specOf(script, {
      root: { path: "rootfs", readonly: true },
      linux: {
        namespaces: [...others, ...mount],
        rootfsPropagation: "private",
        maskedPaths: ["/etc/masked"],
      },
    });
    const { container, output } = await create(bundle, spec);
    end = async () => {
      container.init.kill(9);
      await exitOf(container.init);
      await container.release();
    };
    await container.init.start();
    await eventually(() => output().includes("readonly"));
    assert.equal(lines(output()).slice(0, 7), ["/bin", "/dev", "/etc", "/proc", "/root", "/sys", "/tmp"]);
    assert.ok(output().includes(namespace));
    assert.match(output(), /readonly/);
    assert.ok(mountsOf(bundle.path, pid).length >= 6);
    const exec = await container.exec({
      execId: "e1",
      process: {
        cwd: "/",
        args: ["sh", "-c", "ls -d /*; wc -c < /etc/masked; readlink /proc/self/ns/mnt"],
        env: ["PATH=/bin"],
      },
      stdio: io.stdio,
      signal: AbortSignal.timeout(10_000),
    });
    await exec.start();
    assert.is((await exitOf(exec)).status, 0);
    assert.equal(lines(readFileSync(join(bundle.path, "exec"), "utf8")), [
      ...["/bin", "/dev", "/etc", "/proc", "/root", "/sys", "/tmp"],
      "0",
      namespace,
    ]);
    await end();
    assert.equal(mountsOf(bundle.path, pid), []);
  } catch (error) {
    await end();
    throw error;
  } finally {
    io.close();
    bundle.remove();
  }
}

async function withNamespace(work: (pid: number) => Promise<void>): Promise<void> {
  const holder: ChildProcess = spawn("unshare", ["--mount", "sh", "-c", "echo ready; exec sleep 60"]);
  try {
    if (holder.stdout === null || holder.pid === undefined) throw new Error("no holder");
    await once(holder.stdout, "data");
    await work(holder.pid);
  } finally {
    holder.kill("SIGKILL");
  }
}

linux("without one a container is in the runtime's, in its root, and nothing is left there", async () => {
  await live([], "self");
});

linux("one that is given by path is joined, and nothing is left there", async () => {
  await withNamespace((pid) => live([{ type: "mount", path: `/proc/${pid}/ns/mnt` }], pid));
});

linux("what is mounted in a joined one does not reach the runtime's", async () => {
  await withNamespace(async (pid) => {
    const bundle = createBundle();
    try {
      const path = `/proc/${pid}/ns/mnt`;
      const spec = specOf("exec sleep 100", { linux: { namespaces: [...others, { type: "mount", path }] } });
      const { container } = await create(bundle, spec);
      assert.equal(mountsOf(bundle.path, "self"), []);
      container.init.kill(9);
      await exitOf(container.init);
      await container.release();
    } finally {
      bundle.remove();
    }
  });
});

linux("creation that fails leaves no mounts in the runtime's", async () => {
  const bundle = createBundle();
  try {
    const spec = specOf("true", { process: { args: ["/no/such/program"] }, linux: { namespaces: others } });
    await failure(create(bundle, spec));
    assert.equal(mountsOf(bundle.path, "self"), []);
  } finally {
    bundle.remove();
  }
});

linux.run();
