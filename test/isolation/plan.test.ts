import { suite } from "uvu";
import * as assert from "uvu/assert";
import { context, ops, order, stepsOf } from "./planned.ts";

const plan = suite("plan");

plan("the root is entered after the mounts are made and before anything of it is sealed", () => {
  const steps = stepsOf({
    root: { path: "rootfs", readonly: true },
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
    process: { terminal: true },
    linux: { maskedPaths: ["/proc/kcore"] },
  });
  order(
    steps,
    "session",
    "propagation",
    "rootfs",
    "mount",
    "mknod",
    "root",
    "console",
    "attributes",
    "mask",
    "user",
    "exec",
  );
});

plan("hooks run at their places with the state of their time", () => {
  const hook = (path: string) => [{ path, timeout: 2 }];
  const steps = stepsOf({
    hooks: {
      createRuntime: hook("/r"),
      createContainer: hook("/c"),
      startContainer: hook("/s"),
      poststart: hook("/p"),
    },
  });
  const hooks = steps.filter((step) => step.op === "hook");
  assert.equal(
    hooks.map(({ path, state, timeoutMs, args }) => ({ path, state, timeoutMs, args })),
    [
      { path: "/c", state: "creating", timeoutMs: 2000, args: ["/c"] },
      { path: "/s", state: "created", timeoutMs: 2000, args: ["/s"] },
    ],
  );
  order(steps, "mknod", "runtimeHooks", "hook", "root", "created");
  assert.ok(ops(steps).lastIndexOf("hook") > ops(steps).indexOf("created"));
});

plan("without createRuntime hooks nobody waits for them", () => {
  assert.not(ops(stepsOf({})).includes("runtimeHooks"));
});

plan("a seccomp filter comes last with noNewPrivileges and before the capabilities go without", () => {
  const seccomp = { filter: Buffer.alloc(8), flags: 0 };
  order(
    stepsOf({ process: { noNewPrivileges: true } }, { seccomp }),
    "capabilities",
    "created",
    "noNewPrivileges",
    "seccomp",
    "exec",
  );
  order(stepsOf({}, { seccomp }), "bounding", "seccomp", "user", "capabilities", "created", "exec");
});

plan("rlimits, umask and stdio's owner are settled while it is still allowed", () => {
  order(
    stepsOf({ process: { rlimits: [{ type: "RLIMIT_CORE", soft: 0, hard: 0 }] } }),
    "rlimit",
    "umask",
    "stdioOwner",
    "bounding",
    "user",
  );
});

plan("capabilities that the runtime itself lacks are left out", () => {
  const available = (1n << 41n) - 1n - (1n << 24n);
  const all = ["CAP_SYS_RESOURCE", "CAP_CHOWN"];
  const steps = stepsOf(
    { process: { capabilities: { bounding: all, permitted: all, effective: all } } },
    { machine: { ...context.machine, capabilities: available } },
  );
  const step = steps.find(({ op }) => op === "capabilities");
  assert.is(step?.op === "capabilities" ? step.effective : undefined, 1n);
});

plan.run();
