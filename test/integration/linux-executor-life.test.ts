import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { TandemError } from "../../src/errors.ts";
import { create, createBundle, eventually, exitOf, run, specOf } from "./linux-container.ts";

const linux = suite("linux executor: life");

linux("a program's output and exit status come out", async () => {
  const { output, status } = await run(specOf("echo out; echo err >&2; exit 7"));
  assert.is(output, "out\nerr\n");
  assert.is(status, 7);
});

linux("a killed program's status is 128 plus the signal", async () => {
  const bundle = createBundle();
  try {
    const { container } = await create(bundle, specOf("exec sleep 100"));
    await container.init.start();
    container.init.kill(9);
    assert.is((await exitOf(container.init)).status, 137);
    assert.throws(
      () => container.init.kill(9),
      (error: TandemError) => error.code === "not_found",
    );
  } finally {
    bundle.remove();
  }
});

linux(
  "between create and start nothing of the image runs, but the process and its namespaces exist",
  async () => {
    const bundle = createBundle();
    try {
      const { container, output } = await create(bundle, specOf("echo ran"));
      const { pid } = container.init;
      for (const namespace of ["pid", "mnt", "uts", "ipc", "net"]) {
        assert.is.not(
          readlinkSync(`/proc/${pid}/ns/${namespace}`),
          readlinkSync(`/proc/self/ns/${namespace}`),
          namespace,
        );
      }
      assert.is(readlinkSync(`/proc/${pid}/ns/user`), readlinkSync("/proc/self/ns/user"));
      assert.is(output(), "");
      await container.init.start();
      await exitOf(container.init);
      assert.is(output(), "ran\n");
    } finally {
      bundle.remove();
    }
  },
);

linux("a created container whose shim is killed ends by itself", async () => {
  const bundle = createBundle();
  try {
    const script = fileURLToPath(new URL("shim-that-dies.ts", import.meta.url));
    const shim = spawnSync(process.execPath, [script, bundle.path, bundle.rootfs], {
      encoding: "utf8",
      timeout: 20_000,
    });
    assert.is(shim.signal, "SIGKILL", shim.stderr);
    const pid = Number(shim.stdout);
    assert.ok(pid > 0);
    const gone = () =>
      !existsSync(`/proc/${pid}`) || /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    await eventually(gone);
    assert.ok(gone());
  } finally {
    bundle.remove();
  }
});

linux.run();
