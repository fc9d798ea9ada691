import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { WasmConfig } from "../../../wasm-host/config.ts";
import { machineResolver } from "../../../wasm-host/network/read-resolver-files.ts";
import { writeStateFile } from "../../bundle/state-file.ts";
import { directories } from "../../directories.ts";
import { cgroupLayout } from "../../isolation/cgroup/layout.ts";
import { cgroupPaths } from "../../isolation/cgroup/paths.ts";
import { native } from "../../native.ts";
import type { ShimParameters } from "../request.ts";
import { rehearsalModule } from "./module.ts";
import { rehearsalSpec } from "./spec.ts";

/** The files that a rehearsal needs, in a directory of the zygote's own. */
export class Stage {
  readonly bundle: string;
  readonly tasks: string;
  readonly events: string;
  readonly stdout: string;
  readonly zygote: string;
  readonly resolver: string;
  readonly snapshot: string;
  /** Of stores of code. */
  readonly stores: string;
  readonly guest: WasmConfig;
  readonly parameters: ShimParameters;
  readonly #parent: string;

  constructor(parent: string) {
    clearStage(parent);
    this.#parent = parent;
    const directory = stageIn(parent);
    this.bundle = join(directory, "bundle");
    this.tasks = join(directory, "task.sock");
    this.events = join(directory, "events.sock");
    this.stdout = join(directory, "stdout");
    this.zygote = join(directory, "zygote.sock");
    this.resolver = join(directory, "resolver.sock");
    this.snapshot = join(directory, "snapshot");
    this.stores = join(directory, "stores");
    const { snapshot } = this;
    for (const path of ["bin", "proc", "sys", "dev", "run"])
      mkdirSync(join(snapshot, path), { recursive: true });
    mkdirSync(join(this.bundle, "rootfs"), { recursive: true });
    copyFileSync(join(directories.lib, "container-init"), join(snapshot, "bin/program"));
    chmodSync(join(snapshot, "bin/program"), 0o755);
    writeFileSync(join(snapshot, "module.wasm"), rehearsalModule);
    native.makeFifo(this.stdout);
    native.makeFifo(join(this.bundle, "log"));
    this.parameters = {
      namespace: "rehearsal",
      id: "rehearsal",
      address: "",
      ttrpcAddress: this.events,
      publishBinary: "",
      bundle: this.bundle,
      socketPath: this.tasks,
      group: "rehearsal",
      debug: "",
      schedCore: "",
      stdin: Buffer.alloc(0),
    };
    this.guest = {
      id: "rehearsal",
      workload: { form: "module", file: [snapshot, "/module.wasm"], export: undefined },
      grant: {
        args: ["/module.wasm"],
        env: [["PATH", "/usr/bin:/bin"]],
        preopens: [
          {
            guestPath: "/",
            source: { bind: snapshot, recursive: true },
            readonly: false,
            mounts: [{ target: "/run", source: { tmpfs: ["mode=755", "size=65536k"] }, readonly: false }],
          },
        ],
        listeners: 0,
      },
      listeners: 0,
      isolation: {
        cgroupFiles: [],
        oomScoreAdj: 0,
        rlimits: [[7, "1024", "1024"]],
        joinNamespaces: [],
        unshare: 0,
        hostname: undefined,
        umask: 0o022,
        user: { uid: 0, gid: 0, additionalGids: [0] },
      },
      http: { port: 8080 },
      resolver: machineResolver,
    };
  }

  /**
   * The bundle's config.json for one of the two programs. Its cgroup is named for the monitor before it is there: Create says so
   * only after it has made it, since of any other cgroup it cannot know whose it will be.
   */
  setProgram(program: string): void {
    const cgroupsPath = `/tandem-rehearsal-${native.getpid()}`;
    writeFileSync(join(this.bundle, "config.json"), JSON.stringify(rehearsalSpec(program, cgroupsPath)));
    const { all } = cgroupPaths(cgroupLayout(), { cgroupsPath, namespace: "rehearsal", id: "rehearsal" });
    writeStateFile(this.bundle, { cgroups: all, mounts: [], socket: this.tasks, poststop: [] });
  }

  clear(): void {
    clearStage(this.#parent);
  }
}

/** The monitor of a zygote's start knows it by this name, and what a rehearsal leaves in it (native/launcher/monitor.c). */
function stageIn(parent: string): string {
  return join(parent, "rehearsal");
}

/** Also what a zygote has left that is dead. */
export function clearStage(parent: string): void {
  rmSync(stageIn(parent), { recursive: true, force: true });
}
