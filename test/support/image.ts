import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { pack } from "tar-stream";

/** A file of an image's layer; a string starting with "->" is a symbolic link to the rest. */
export interface LayerFile {
  readonly path: string;
  readonly content: Uint8Array | string;
  readonly mode?: number;
}

export interface Layer {
  readonly mediaType: string;
  readonly data: Uint8Array;
}

export interface ImageOptions {
  /** Full reference, for instance local.test/hello:1. */
  readonly reference: string;
  readonly layers: readonly Layer[];
  /** The image configuration; `rootfs.diff_ids` is filled in from the tar layers. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly configMediaType?: string;
  readonly artifactType?: string;
}

export const tarLayerType = "application/vnd.oci.image.layer.v1.tar";

/** Writes an OCI image layout as a tar archive, as `ctr images import` takes it. Returns the manifest's digest. */
export async function writeImageArchive(archive: string, options: ImageOptions): Promise<string> {
  const blobs = new Map<string, Uint8Array>();
  const put = (mediaType: string, data: Uint8Array): { mediaType: string; digest: string; size: number } => {
    const digest = digestOf(data);
    blobs.set(digest, data);
    return { mediaType, digest, size: data.length };
  };
  const layers = options.layers.map((layer) => put(layer.mediaType, layer.data));
  const tarDigests = layers
    .filter((layer) => layer.mediaType.startsWith(tarLayerType))
    .map((layer) => layer.digest);
  const configType = options.configMediaType ?? "application/vnd.oci.image.config.v1+json";
  const rootfs = { type: "layers", diff_ids: tarDigests };
  const config = put(
    configType,
    json(configType.includes("wasm") ? options.config : { ...options.config, rootfs }),
  );
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const artifactType = options.artifactType === undefined ? {} : { artifactType: options.artifactType };
  const manifest = put(
    manifestType,
    json({ schemaVersion: 2, mediaType: manifestType, ...artifactType, config, layers }),
  );
  const annotations = {
    "io.containerd.image.name": options.reference,
    "org.opencontainers.image.ref.name": options.reference.slice(options.reference.lastIndexOf(":") + 1),
  };
  const index = json({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] });
  writeFileSync(
    archive,
    await tar([
      { path: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
      { path: "index.json", content: index },
      ...[...blobs].map(([digest, content]) => ({
        path: `blobs/sha256/${digest.slice("sha256:".length)}`,
        content,
      })),
    ]),
  );
  return manifest.digest;
}

/** A tar layer with the usual empty directories and these files. */
export async function tarLayer(files: readonly LayerFile[]): Promise<Layer> {
  const directories = ["bin", "etc", "tmp", "proc", "sys", "dev"].map((path) => ({
    path: `${path}/`,
    content: "",
    mode: path === "tmp" ? 0o1777 : 0o755,
  }));
  return { mediaType: tarLayerType, data: await tar([...directories, ...files]) };
}

const applets = [
  ..."sh true false echo sleep cat ls id ps env stat mount umount hostname ip wget httpd nc kill sync dd yes head tail".split(
    " ",
  ),
  ..."tty stty touch mkdir rm rmdir cp mv ln chmod chown grep sed awk cut sort wc seq printf date uname whoami pwd test".split(
    " ",
  ),
  ..."readlink mknod mkfifo nproc ulimit trap timeout top tr unshare nsenter setsid pgrep od xxd md5sum sha256sum".split(
    " ",
  ),
];

export interface BusyboxOptions {
  readonly reference: string;
  readonly command: readonly string[];
}

const shell: BusyboxOptions = { reference: "local.test/busybox:1", command: ["/bin/sh"] };

/** A pod's own container does nothing until it is killed: the sandbox image of the CRI tests. */
export const pause: BusyboxOptions = { reference: "local.test/pause:1", command: ["/bin/sleep", "infinity"] };

/** A root file system: busybox, a link for each applet, root and nobody; and what else is asked for. */
export function busyboxLayer(further: readonly LayerFile[] = []): Promise<Layer> {
  return tarLayer([
    { path: "bin/busybox", content: readFileSync("/usr/bin/busybox"), mode: 0o755 },
    ...applets.map((applet) => ({ path: `bin/${applet}`, content: "->busybox" })),
    { path: "etc/passwd", content: "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n" },
    { path: "etc/group", content: "root:x:0:\nnogroup:x:65534:\n" },
    ...further,
  ]);
}

/** Writes the archive of a Linux image that is nothing but busybox. */
export async function writeBusyboxArchive(archive: string, options = shell): Promise<string> {
  const layer = await busyboxLayer();
  return writeImageArchive(archive, {
    reference: options.reference,
    layers: [layer],
    config: {
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      config: { Cmd: [...options.command], Env: ["PATH=/bin"] },
    },
  });
}

async function tar(files: readonly LayerFile[]): Promise<Uint8Array> {
  const archive = pack();
  // Dates and owners are fixed, so that the same files make the same digest.
  const fixed = { mtime: new Date(0), uid: 0, gid: 0 };
  for (const { path, content, mode = 0o644 } of files) {
    if (typeof content === "string" && content.startsWith("->")) {
      archive.entry({ ...fixed, name: path, type: "symlink", linkname: content.slice(2) });
    } else if (path.endsWith("/")) {
      archive.entry({ ...fixed, name: path, type: "directory", mode });
    } else {
      archive.entry({ ...fixed, name: path, mode }, Buffer.from(content));
    }
  }
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function digestOf(data: Uint8Array): string {
  return `sha256:${createHash("sha256").update(data).digest("hex")}`;
}
