import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { create, createBundle, exitOf, failure, lines, run, specOf } from "./linux-container.ts";

const linux = suite("linux executor: hooks");

linux("hooks run in their order, where they belong, with the state on stdin", async () => {
  const bundle = createBundle();
  try {
    const log = join(bundle.rootfs, "log");
    writeFileSync(log, "");
    const host = (kind: string) => ({
      path: "/bin/sh",
      args: ["sh", "-c", `read state; echo ${kind} $(hostname) $state >> ${log}`],
    });
    const spec = specOf("echo program >> /log", {
      hooks: {
        prestart: [host("prestart")],
        createRuntime: [host("createRuntime")],
        createContainer: [host("createContainer")],
        startContainer: [
          {
            path: "/bin/sh",
            args: ["sh", "-c", "read -r state; echo startContainer $(/bin/hostname) $state >> /log"],
          },
        ],
        poststart: [host("poststart")],
        poststop: [host("poststop")],
      },
    });
    const { container } = await create(bundle, spec);
    const { pid } = container.init;
    const created = lines(readFileSync(log, "utf8"));
    assert.equal(
      created.map((line) => line.split(" ")[0]),
      ["prestart", "createRuntime", "createContainer"],
    );
    assert.match(created[1] ?? "", new RegExp(`"status":"creating","pid":${pid},"bundle":"${bundle.path}"`));
    assert.match(created[2] ?? "", / boxed /, "createContainer is in the container's uts namespace");
    assert.not.match(created[1] ?? "", / boxed /);
    await container.init.start();
    await exitOf(container.init);
    await container.release();
    await container.release();
    const order = lines(readFileSync(log, "utf8")).map((line) => line.split(" ")[0]);
    assert.is(order[3], "startContainer");
    assert.equal([...order.slice(4)].sort(), ["poststart", "poststop", "program"]);
    assert.is(order.at(-1), "poststop");
  } finally {
    bundle.remove();
  }
});

linux("a failing createRuntime hook fails creation, runs poststop and leaves no process", async () => {
  const bundle = createBundle();
  try {
    const pidFile = join(bundle.path, "pid");
    const marker = join(bundle.path, "stopped");
    const spec = specOf("true", {
      hooks: {
        createRuntime: [
          { path: "/bin/sh", args: ["sh", "-c", `cat > ${pidFile}; echo went wrong >&2; exit 3`] },
        ],
        poststop: [{ path: "/bin/sh", args: ["sh", "-c", `touch ${marker}`] }],
      },
    });
    const error = await failure(create(bundle, spec));
    assert.match(error.message, /hooks\.createRuntime\[0\] \/bin\/sh: failed with status 3: went wrong/);
    const { pid } = JSON.parse(readFileSync(pidFile, "utf8")) as { pid: number };
    assert.not(existsSync(`/proc/${pid}`));
    assert.ok(existsSync(marker));
  } finally {
    bundle.remove();
  }
});

linux("a failing poststart hook stops the container and fails its start", async () => {
  const bundle = createBundle();
  try {
    const poststart = [{ path: "/bin/sh", args: ["sh", "-c", "echo went wrong >&2; exit 3"] }];
    const { container } = await create(bundle, specOf("exec sleep 100", { hooks: { poststart } }));
    const error = await failure(container.init.start());
    assert.match(error.message, /hooks\.poststart\[0\] \/bin\/sh: failed with status 3: went wrong/);
    assert.is((await exitOf(container.init)).status, 137);
  } finally {
    bundle.remove();
  }
});

linux("a hook is killed at its timeout", async () => {
  const slow = [{ path: "/bin/sleep", args: ["sleep", "60"], timeout: 1 }];
  const outside = await failure(run(specOf("true", { hooks: { createRuntime: slow } })));
  assert.is(outside.code, "deadline_exceeded");
  const inside = await failure(run(specOf("true", { hooks: { createContainer: slow } })));
  assert.match(inside.message, /hooks\.createContainer\[0\]: \/bin\/sleep: hook took longer/);
});

linux.run();
