import type { LinuxResources } from "../../src/bundle/resources.ts";
import { mountRootfs } from "../../src/bundle/rootfs.ts";
import { parseSpec, poststopHooks, type Spec } from "../../src/bundle/spec.ts";
import type { CreateRequest } from "../../src/executor/executor.ts";
import { hookState } from "../../src/executor/hooks.ts";
import { toWasmConfig } from "../../src/executor/wasm-config.ts";
import { checkResources } from "../../src/isolation/cgroup/check-resources.ts";
import { devicePolicy } from "../../src/isolation/cgroup/device-rules.ts";
import { cgroupPaths } from "../../src/isolation/cgroup/paths.ts";
import { v1Settings } from "../../src/isolation/cgroup/v1-settings.ts";
import { v2Settings } from "../../src/isolation/cgroup/v2-settings.ts";
import { encodePlan } from "../../src/isolation/encode.ts";
import { planIntelRdt } from "../../src/isolation/intel-rdt.ts";
import { type PlanContext, planContainer } from "../../src/isolation/plan.ts";
import { planExec } from "../../src/isolation/plan-exec.ts";
import { compileSeccomp } from "../../src/isolation/seccomp.ts";

/**
 * Everything that Tandem makes of a config.json before it touches the machine, as text: what a property does not change here, it
 * does not change in a container.
 *
 * @throws TandemError when the spec is refused
 */
export function linuxPicture(json: unknown): string {
  return linuxPictureOf(JSON.stringify(json));
}

/** The same of a config.json as it is written. */
export function linuxPictureOf(config: string): string {
  const spec = parseSpec(config);
  const seccomp =
    spec.linux?.seccomp === undefined ? undefined : compileSeccomp(spec.linux.seccomp, undefined);
  const context: PlanContext = {
    id: "c1",
    bundle: "/bundle",
    rootfs: "/bundle/rootfs",
    cgroups: [],
    machine: { apparmor: true, selinux: true, capabilities: (1n << 41n) - 1n },
    seccomp,
    rights: { root: true, machineRoot: true },
    noPivotRoot: false,
    noNewKeyring: false,
    isRuntimes: () => false,
  };
  const { steps, ...plan } = planContainer(spec, context);
  const states = {
    creating: hookState({ id: "c1", bundle: "/bundle", spec }, "creating", 1),
    created: hookState({ id: "c1", bundle: "/bundle", spec }, "created", 1),
  };
  return text({
    plan,
    steps: steps(states),
    bytes: encodePlan(steps(states)).length,
    seccomp,
    execs: execsOf(spec, context),
    rdt: planIntelRdt(spec.linux?.intelRdt ?? {}, "c1"),
    common: commonPicture(spec),
  });
}

/** An exec with all of the process, and one whose affinity says only where it begins. */
function execsOf({ process, linux }: Spec, context: PlanContext): unknown {
  if (process === undefined) return undefined;
  const initial = process.execCPUAffinity?.initial;
  const begins = { ...process, execCPUAffinity: initial === undefined ? {} : { initial } };
  const exec = { ...context, canSetGroups: true, userNamespace: true, linux };
  return [planExec(process, exec), planExec(begins, exec)];
}

/** The same for a wasm container. */
export function wasmPicture(json: unknown): string {
  const spec = parseSpec(JSON.stringify(json));
  return text({
    config: toWasmConfig(wasmRequest(spec), wasmSelection, undefined),
    common: commonPicture(spec),
  });
}

export const wasmSelection = {
  kind: "wasm",
  module: { inRootfs: "/app.wasm" },
  form: "module",
  export: undefined,
  mediaType: "application/wasm",
  reason: "test",
} as const;

export function wasmRequest(spec: Spec): CreateRequest {
  const cgroup = { entrance: () => ({ taskFiles: ["/tasks"], unified: undefined, unifiedLimits: false }) };
  return {
    id: "c1",
    namespace: "test",
    bundle: "/bundle",
    rootfs: "/bundle/rootfs",
    spec,
    cgroup: cgroup as unknown as CreateRequest["cgroup"],
    stdio: undefined,
    signal: new AbortController().signal,
  };
}

/** What does not depend on the executor: the cgroup, the rootfs and the hooks that `delete` runs. */
function commonPicture(spec: Spec): unknown {
  const { unified, devices, ...resources } = checkResources(spec.linux?.resources ?? {});
  const files = { exists: () => false, read: () => "max 100000" };
  const hierarchy = {
    version: 2,
    controllers: [],
    mountPoint: "/sys/fs/cgroup",
    ownDirectory: undefined,
  } as const;
  return {
    resources: v1Settings(resources as LinuxResources, files),
    unified: unified === undefined ? [] : v2Settings({ unified }, files),
    devices: devicePolicy(devices),
    rootfs: mountRootfs("/bundle", [], spec.root?.path ?? "rootfs").path,
    cgroup: cgroupPaths(
      { mode: "v2", hierarchies: [hierarchy] },
      { cgroupsPath: spec.linux?.cgroupsPath, namespace: "test", id: "c1" },
    ).all,
    poststop: poststopHooks(spec),
    state: hookState({ id: "c1", bundle: "/bundle", spec }, "running", 1),
  };
}

function text(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return `${part}n`;
    return part instanceof Set ? [...part] : part;
  });
}
