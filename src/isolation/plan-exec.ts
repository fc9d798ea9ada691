import type { Spec, SpecProcess } from "../bundle/spec.ts";
import {
  consoleSteps,
  execSteps,
  identitySteps,
  inheritedSteps,
  labelSteps,
  type ProcessContext,
  sessionSteps,
} from "./process-steps.ts";
import { affinitySteps } from "./scheduling.ts";
import { NO_FD, type Step } from "./steps.ts";

export interface ExecPlanContext extends ProcessContext {
  readonly id: string;
  readonly userNamespace: boolean;
  readonly noNewKeyring: boolean;
  /** The terminal's other side is copied to another terminal or a pipe. */
  readonly relaysTerminal?: boolean;
  /** The container's. */
  readonly linux: Spec["linux"];
  /** AT_ONCE; without it whoever creates it starts it. */
  readonly starter?: number;
}

/**
 * Plans another process of a container; its namespaces are joined before the first step.
 *
 * @throws TandemError invalid_argument or failed_precondition, naming the property that cannot be honoured
 */
export function planExec(process: SpecProcess, context: ExecPlanContext): Step[] {
  return [
    ...sessionSteps(context.userNamespace, context),
    ...affinitySteps(process.execCPUAffinity),
    ...labelSteps(process, context.machine),
    ...consoleSteps(process, { bind: false, relayed: context.relaysTerminal === true }),
    ...inheritedSteps(context.linux),
    { op: "cwd", property: "process.cwd", path: process.cwd, ahead: true, make: false },
    ...identitySteps(process, context),
    { op: "created", property: "", starter: context.starter ?? NO_FD },
    ...execSteps(process, context),
  ];
}
