import { suite } from "uvu";
import * as assert from "uvu/assert";
import { planExec } from "../../src/isolation/plan-exec.ts";
import { context } from "./planned.ts";

const plan = suite("plan of an exec");

plan("an exec with a terminal does not touch the container's console", () => {
  const steps = planExec(
    { cwd: "/", args: ["sh"], terminal: true, execCPUAffinity: { final: "0-1,9" } },
    {
      id: "c1",
      machine: context.machine,
      seccomp: undefined,
      canSetGroups: true,
      userNamespace: false,
      noNewKeyring: true,
      linux: undefined,
    },
  );
  const terminal = steps.find((step) => step.op === "console");
  assert.is(terminal?.op === "console" ? terminal.bind : undefined, false);
  const affinity = steps.find((step) => step.op === "affinity");
  assert.equal(affinity?.op === "affinity" ? [...affinity.mask.subarray(0, 3)] : undefined, [3, 2, 0]);
});

plan.run();
