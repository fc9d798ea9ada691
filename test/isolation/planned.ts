import * as assert from "uvu/assert";
import { parseSpec, type Spec } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";
import { type PlanContext, planContainer } from "../../src/isolation/plan.ts";
import type { Step } from "../../src/isolation/steps.ts";

/** Of a runtime that may do everything, on a machine without LSMs and cgroups. */
export const context: PlanContext = {
  id: "c1",
  bundle: "/bundle",
  rootfs: "/bundle/rootfs",
  cgroups: [],
  machine: { apparmor: false, selinux: false, capabilities: (1n << 41n) - 1n },
  seccomp: undefined,
  rights: { root: true, machineRoot: true },
  noPivotRoot: false,
  noNewKeyring: false,
  isRuntimes: () => false,
};

/** What a test has in its config.json beside the least that there must be. */
export interface Change {
  readonly process?: object;
  readonly linux?: object;
  readonly [key: string]: unknown;
}

export function specWith({ process, linux, ...rest }: Change): Spec {
  const namespaces = ["mount", "pid", "uts", "ipc", "network"].map((type) => ({ type }));
  return parseSpec(
    JSON.stringify({
      ociVersion: "1.2.0",
      root: { path: "rootfs" },
      process: { cwd: "/", args: ["true"], ...process },
      linux: { namespaces, ...linux },
      ...rest,
    }),
  );
}

export function stepsOf(change: Change, changed: Partial<PlanContext> = {}): Step[] {
  return planContainer(specWith(change), { ...context, ...changed }).steps({
    creating: "creating",
    created: "created",
  });
}

/** The code and the message of the error that this is refused with. */
export function refusal(change: Change, changed: Partial<PlanContext> = {}): string {
  try {
    stepsOf(change, changed);
  } catch (error) {
    assert.instance(error, TandemError);
    return `${(error as TandemError).code} ${(error as TandemError).message}`;
  }
  throw new Error("was expected to be refused");
}

export const ops = (steps: readonly Step[]): string[] => steps.map(({ op }) => op);

/** These steps are there, in this order. */
export const order = (steps: readonly Step[], ...wanted: string[]): void => {
  const places = wanted.map((op) => ops(steps).indexOf(op));
  assert.not(places.includes(-1), `${wanted} in ${ops(steps)}`);
  assert.equal(
    places,
    [...places].sort((a, b) => a - b),
    `${wanted} in this order`,
  );
};
