import type { HookKind } from "../bundle/spec.ts";
import { VERSION } from "../version.ts";
import { knownCapabilities } from "./capabilities.ts";
import { knownMemoryFlags, knownMemoryModes } from "./memory-policy.ts";
import { knownMountOptions } from "./mount-options.ts";
import { namespaceFlags } from "./namespaces.ts";
import { knownActions, knownArchitectures, knownFlags, knownOperators } from "./seccomp/profile.ts";

/** In the order of a container's life; the type keeps the list complete. */
const hooks = Object.keys({
  prestart: true,
  createRuntime: true,
  createContainer: true,
  startContainer: true,
  poststart: true,
  poststop: true,
} satisfies Record<HookKind, true>);

/** Annotations of config.json that change what Tandem does (docs/conformance.md, "Annotations"). */
const annotations = [
  "io.containerd.runc.v2.group",
  "io.kubernetes.cri.container-type",
  "io.kubernetes.cri.sandbox-id",
  "module.wasm.image/variant",
  "org.criu.config",
  "org.systemd.property.",
  "run.oci.handler",
  "tandem.dev/access-log",
  "tandem.dev/access-log-to",
  "tandem.dev/clock",
  "tandem.dev/compute-timeout",
  "tandem.dev/cpu-time",
  "tandem.dev/drain-timeout",
  "tandem.dev/env",
  "tandem.dev/executor",
  "tandem.dev/header-timeout",
  "tandem.dev/http-port",
  "tandem.dev/http2",
  "tandem.dev/idle-instance-timeout",
  "tandem.dev/inbound",
  "tandem.dev/instance-reset",
  "tandem.dev/io-timeout",
  "tandem.dev/keep-alive-timeout",
  "tandem.dev/max-body",
  "tandem.dev/max-concurrent-connections",
  "tandem.dev/max-concurrent-requests",
  "tandem.dev/max-header-size",
  "tandem.dev/max-headers",
  "tandem.dev/max-instance-concurrent-reuse-count",
  "tandem.dev/max-instance-reuse-count",
  "tandem.dev/max-instances",
  "tandem.dev/max-memory-size",
  "tandem.dev/max-open-files",
  "tandem.dev/max-output",
  "tandem.dev/max-table-elements",
  "tandem.dev/max-waiting-requests",
  "tandem.dev/outbound",
  "tandem.dev/protocols",
  "tandem.dev/request-timeout",
  "tandem.dev/rootfs",
  "tandem.dev/seed",
  "tandem.dev/timeout",
];

/**
 * The features document (runtime-spec 1.3, features.md and features-linux.md): what this build understands, whatever the
 * machine has. The build installs it as features.json, and the launcher's `-info` hands it to containerd. The lists are the
 * tables by which config.json is read.
 */
export const features = {
  ociVersionMin: "1.0.0",
  ociVersionMax: "1.3.0",
  hooks,
  mountOptions: knownMountOptions,
  linux: {
    namespaces: Object.keys(namespaceFlags).sort(),
    capabilities: knownCapabilities,
    cgroup: { v1: true, v2: true, systemd: true, systemdUser: true, rdma: true },
    seccomp: {
      enabled: true,
      actions: knownActions,
      operators: knownOperators,
      archs: knownArchitectures,
      knownFlags,
      supportedFlags: knownFlags,
    },
    apparmor: { enabled: true },
    selinux: { enabled: true },
    memoryPolicy: { modes: knownMemoryModes, flags: knownMemoryFlags },
    intelRdt: { enabled: true, schemata: true, monitoring: true },
    mountExtensions: { idmap: { enabled: true } },
    netDevices: { enabled: true },
  },
  annotations: { "tandem.dev/version": VERSION },
  potentiallyUnsafeConfigAnnotations: annotations,
} as const;
