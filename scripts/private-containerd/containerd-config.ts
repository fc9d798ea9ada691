import { stringify } from "smol-toml";

export interface CriConfig {
  /** Reference of the image whose container holds the pod; import it into the namespace k8s.io. */
  readonly sandboxImage: string;
  /** Runtime class handlers besides "tandem" and "runc". */
  readonly handlers?: Readonly<
    Record<string, { readonly runtimeType: string; readonly annotations?: readonly string[] }>
  >;
}

export interface ContainerdConfig {
  readonly generation: string;
  readonly directory: string;
  readonly address: string;
  readonly cri?: CriConfig | undefined;
}

/** Annotations that choose or configure an executor; without these patterns CRI keeps them out of config.json. */
const passedAnnotations = ["tandem.dev/*", "run.oci.handler", "module.wasm.image/*"];

/** config.toml of one generation: version 2 up to 1.7, version 3 from 2.0. Every path lies below the directory. */
export function containerdConfig(config: ContainerdConfig): string {
  const modern = !config.generation.startsWith("1.");
  return stringify({
    version: modern ? 3 : 2,
    root: `${config.directory}/root`,
    state: `${config.directory}/state`,
    oom_score: 0,
    grpc: { address: config.address },
    ttrpc: { address: `${config.address}.ttrpc` },
    disabled_plugins: disabledPlugins(config.cri !== undefined),
    plugins: {
      // Their defaults are /opt/containerd and /var/run/nri, made when containerd starts.
      "io.containerd.internal.v1.opt": { path: `${config.directory}/opt` },
      "io.containerd.nri.v1.nri": { disable: true, socket_path: `${config.directory}/nri.sock` },
      ...(config.cri === undefined
        ? {}
        : modern
          ? modernCri(config, config.cri)
          : classicCri(config, config.cri)),
    },
  });
}

function disabledPlugins(withCri: boolean): string[] {
  const never = [
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.differ.v1.erofs",
  ];
  const cri = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.runtime",
    "io.containerd.cri.v1.images",
    "io.containerd.nri.v1.nri",
    "io.containerd.podsandbox.controller.v1.podsandbox",
  ];
  return withCri ? never : [...never, ...cri];
}

function runtimes(cri: CriConfig): Record<string, Record<string, unknown>> {
  const tandem = {
    runtime_type: "io.containerd.tandem.v1",
    pod_annotations: passedAnnotations,
    container_annotations: passedAnnotations,
  };
  const handlers = Object.entries(cri.handlers ?? {}).map(([name, handler]) => [
    name,
    {
      runtime_type: handler.runtimeType,
      pod_annotations: [...(handler.annotations ?? [])],
      container_annotations: [...(handler.annotations ?? [])],
    },
  ]);
  return { tandem, runc: { runtime_type: "io.containerd.runc.v2" }, ...Object.fromEntries(handlers) };
}

function cniDirectories(directory: string): Record<string, string> {
  return { bin_dir: "/usr/lib/cni", conf_dir: `${directory}/cni` };
}

const streaming = { disable_tcp_service: true, stream_server_address: "127.0.0.1", stream_server_port: "0" };

function classicCri(config: ContainerdConfig, cri: CriConfig): Record<string, unknown> {
  return {
    "io.containerd.grpc.v1.cri": {
      ...streaming,
      sandbox_image: cri.sandboxImage,
      netns_mounts_under_state_dir: true,
      restrict_oom_score_adj: true,
      cni: cniDirectories(config.directory),
      containerd: { default_runtime_name: "tandem", snapshotter: "overlayfs", runtimes: runtimes(cri) },
    },
  };
}

function modernCri(config: ContainerdConfig, cri: CriConfig): Record<string, unknown> {
  const directories = cniDirectories(config.directory);
  const cni =
    config.generation === "2.1"
      ? directories
      : { bin_dirs: [directories["bin_dir"]], conf_dir: directories["conf_dir"] };
  return {
    "io.containerd.grpc.v1.cri": streaming,
    "io.containerd.cri.v1.images": { snapshotter: "overlayfs", pinned_images: { sandbox: cri.sandboxImage } },
    "io.containerd.cri.v1.runtime": {
      netns_mounts_under_state_dir: true,
      restrict_oom_score_adj: true,
      cni,
      containerd: { default_runtime_name: "tandem", runtimes: runtimes(cri) },
    },
  };
}
