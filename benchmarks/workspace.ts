import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildModule } from "../examples/hello-wasm/build.ts";
import type { BenchCgroups } from "./cgroups.ts";
import { type EventsSocket, serveEvents } from "./container/events-socket.ts";
import type { LaunchContext } from "./container/launch.ts";
import type { ContainerOptions } from "./container/lifecycle.ts";
import type { System } from "./systems.ts";
import { endZygotes } from "./zygotes.ts";

/** What a container does: print and end, or wait to be killed. */
export type Behaviour = "print" | "idle";

const commands: Readonly<Record<System["workload"], Readonly<Record<Behaviour, readonly string[]>>>> = {
  wasm: { print: ["/hello-wasm.wasm"], idle: ["/hello-wasm.wasm", "sleep", "86400"] },
  linux: { print: ["/bin/busybox", "echo", "hello"], idle: ["/bin/busybox", "sleep", "86400"] },
};

export interface ContainerRequest {
  readonly system: System;
  readonly behaviour: Behaviour;
  /** Shims, zygote and containers are started in the system's counted cgroup. */
  readonly counted?: boolean;
}

/** On the tmpfs that arrangeMounts has put on /run: short, because the path of a socket is. */
const runDirectories = "/run/bench";

/** The images, the events socket and a numbered place for each container, all below one directory. */
export class Workspace {
  readonly cgroups: BenchCgroups;
  readonly events: EventsSocket;
  readonly #directory: string;
  #count = 0;

  private constructor(directory: string, cgroups: BenchCgroups, events: EventsSocket) {
    this.#directory = directory;
    this.cgroups = cgroups;
    this.events = events;
  }

  static async open(directory: string, cgroups: BenchCgroups): Promise<Workspace> {
    const linux = join(directory, "images/linux");
    const wasm = join(directory, "images/wasm");
    for (const image of [linux, wasm])
      for (const name of ["bin", "dev", "etc", "proc", "run", "sys", "tmp"])
        mkdirSync(join(image, name), { recursive: true });
    copyFileSync("/bin/busybox", join(linux, "bin/busybox"));
    symlinkSync("busybox", join(linux, "bin/sh"));
    writeFileSync(join(wasm, "hello-wasm.wasm"), await buildModule(), { mode: 0o755 });
    mkdirSync(join(directory, "c"));
    mkdirSync(runDirectories);
    return new Workspace(directory, cgroups, await serveEvents(join(directory, "events.sock")));
  }

  /** A container that exists nowhere yet. */
  container({ system, behaviour, counted = false }: ContainerRequest): ContainerOptions {
    const id = `${system.name}-${++this.#count}`;
    return {
      id,
      directory: join(this.#directory, "c", id),
      image: join(this.#directory, "images", system.workload),
      args: commands[system.workload][behaviour],
      cgroupsPath: this.cgroups.containerPath(system.name, id),
      launch: this.#launch(system, counted),
      runtimeOptions: system.runtimeOptions(join(this.#directory, "runtime", system.name)),
    };
  }

  /** Ends the zygotes that were started so far, so that none shares its pages with one that is weighed. */
  endZygotes(): void {
    endZygotes(`${runDirectories}/*/z/*/zygote.pid`);
  }

  async close(): Promise<void> {
    await this.events.close();
  }

  #launch(system: System, counted: boolean): LaunchContext {
    const grpcAddress = join(this.#directory, "containerd.sock");
    // A zygote of its own for each system: its memory and its faults are that system's and nobody else's.
    const run = `${runDirectories}/${system.name}${counted ? "+" : ""}`;
    const joinCgroup = `echo 0 >"$0"; exec "$@"`;
    return {
      binary: system.shim,
      namespace: "bench",
      dialect: system.dialect,
      grpcAddress,
      ttrpcAddress: this.events.path,
      environment: {
        TANDEM_RUN_DIR: run,
        TANDEM_STATE_DIR: join(this.#directory, "state"),
        ...(system.cold ? { TANDEM_COLD: "1" } : {}),
      },
      wrapper: counted ? ["/bin/sh", "-c", joinCgroup, this.cgroups.prepare(system.name)] : [],
    };
  }
}
