import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Output, openOutput } from "./first-byte.ts";
import { toSpec } from "./spec.ts";

export interface BundleOptions {
  /** Everything of the container goes below this; it must not exist. */
  readonly directory: string;
  /** The unpacked image: the overlay's lower directory. */
  readonly image: string;
  readonly args: readonly string[];
  readonly cgroupsPath: string;
}

/** What containerd has made before it starts a shim. */
export interface Bundle {
  readonly path: string;
  readonly rootfs: readonly {
    readonly type: string;
    readonly source: string;
    readonly options: readonly string[];
  }[];
  readonly stdout: Output;
  readonly stderr: Output;
  remove(): void;
}

/** A bundle with config.json and an empty rootfs, a writable snapshot as the overlayfs snapshotter makes it, and FIFOs. */
export function createBundle(options: BundleOptions): Bundle {
  const { directory } = options;
  const path = join(directory, "bundle");
  const [upper, work] = [join(directory, "fs"), join(directory, "work")];
  mkdirSync(path, { recursive: true, mode: 0o700 });
  mkdirSync(join(path, "rootfs"), { mode: 0o711 });
  mkdirSync(upper);
  mkdirSync(work);
  writeFileSync(join(path, "config.json"), JSON.stringify(toSpec(options)));
  const log = openOutput(join(path, "log"));
  const stdout = openOutput(join(directory, "stdout"));
  const stderr = openOutput(join(directory, "stderr"));
  const mount = {
    type: "overlay",
    source: "overlay",
    options: [`workdir=${work}`, `upperdir=${upper}`, `lowerdir=${options.image}`, "index=off"],
  };
  const remove = (): void => {
    for (const output of [log, stdout, stderr]) output.close();
    rmSync(directory, { recursive: true });
  };
  return { path, rootfs: [mount], stdout, stderr, remove };
}
