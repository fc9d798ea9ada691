import { closeSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  allCapabilities,
  create,
  createBundle,
  exitOf,
  failure,
  lines,
  openOutput,
  screen,
  specOf,
} from "./linux-container.ts";

const linux = suite("linux executor: exec");

linux("an exec has the personality and the memory policy of its container", async () => {
  const bundle = createBundle();
  const io = openOutput(join(bundle.path, "exec"));
  const spec = specOf("exec sleep 100", {
    linux: { personality: { domain: "LINUX32" }, memoryPolicy: { mode: "MPOL_BIND", nodes: "0" } },
  });
  try {
    const { container } = await create(bundle, spec);
    await container.init.start();
    const process = await container.exec({
      execId: "e1",
      process: { cwd: "/", args: ["sh", "-c", "busybox uname -m; head -n1 /proc/self/numa_maps"] },
      stdio: io.stdio,
      signal: AbortSignal.timeout(10_000),
    });
    await process.start();
    assert.is((await exitOf(process)).status, 0);
    const [machine, policy = ""] = lines(readFileSync(join(bundle.path, "exec"), "utf8"));
    assert.is(machine, "i686");
    assert.is(policy.split(" ")[1], "bind:0");
    container.init.kill(9);
    await exitOf(container.init);
  } finally {
    io.close();
    bundle.remove();
  }
});

linux("an exec shares the namespaces and the root, and has its own user and status", async () => {
  const bundle = createBundle();
  const io = openOutput(join(bundle.path, "exec"));
  try {
    const { container } = await create(bundle, specOf("exec sleep 100"));
    await container.init.start();
    const process = await container.exec({
      execId: "e1",
      process: {
        cwd: "/tmp",
        args: [
          "sh",
          "-c",
          "hostname; pwd; id -u; ls /proc | grep -c '^1$'; ls /proc/self/fd | wc -l; grep CapEff /proc/self/status; exit 4",
        ],
        env: ["PATH=/bin"],
        user: { uid: 33, gid: 33 },
        capabilities: allCapabilities,
      },
      stdio: io.stdio,
      signal: AbortSignal.timeout(10_000),
    });
    for (const namespace of ["pid", "mnt", "uts", "ipc", "net"]) {
      assert.is(
        readlinkSync(`/proc/${process.pid}/ns/${namespace}`),
        readlinkSync(`/proc/${container.init.pid}/ns/${namespace}`),
        namespace,
      );
    }
    await process.start();
    assert.is((await exitOf(process)).status, 4);
    assert.equal(lines(readFileSync(join(bundle.path, "exec"), "utf8")), [
      "boxed",
      "/tmp",
      "33",
      "1",
      "4",
      "CapEff:\t0000000000000000",
    ]);
    container.init.kill(9);
    await exitOf(container.init);
  } finally {
    io.close();
    bundle.remove();
  }
});

linux("an exec of a missing program fails and the container goes on", async () => {
  const bundle = createBundle();
  try {
    const { container } = await create(bundle, specOf("exec sleep 100"));
    await container.init.start();
    const error = await failure(
      container.exec({
        execId: "e1",
        process: { cwd: "/", args: ["nosuch"] },
        stdio: undefined,
        signal: AbortSignal.timeout(10_000),
      }),
    );
    assert.match(
      error.message,
      /exec e1 of container c1: exec: "nosuch": executable file not found in \$PATH/,
    );
    container.init.kill(9);
    assert.is((await exitOf(container.init)).status, 137);
  } finally {
    bundle.remove();
  }
});

linux("an exec can have a terminal", async () => {
  const bundle = createBundle();
  try {
    const { container } = await create(bundle, specOf("exec sleep 100"));
    await container.init.start();
    const process = await container.exec({
      execId: "e1",
      process: { cwd: "/", terminal: true, args: ["sh", "-c", "tty; cat"], env: ["PATH=/bin"] },
      stdio: undefined,
      signal: AbortSignal.timeout(10_000),
    });
    await process.start();
    assert.match(await screen(process.console as number, /pts\/0/), /\/dev\/pts\/0/);
    process.kill(9);
    await exitOf(process);
    closeSync(process.console as number);
    container.init.kill(9);
    await exitOf(container.init);
  } finally {
    bundle.remove();
  }
});

linux.run();
