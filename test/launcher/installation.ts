import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CommandOptions, type Finished, run } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const built = join(root, "native/build/Release");

export interface FakeRequest {
  readonly kind: string;
  readonly namespace: string;
  readonly id: string;
  readonly address: string;
  readonly ttrpcAddress: string;
  readonly publishBinary: string;
  readonly bundle: string;
  readonly socketPath: string;
  readonly group: string;
  readonly debug: string;
  readonly schedCore: string;
  readonly stdin: string;
}

export interface FakeStart {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly descriptors: readonly string[];
}

/** A launcher as it is installed, with a zygote that forks nothing (fake-zygote.ts), in a directory of its own. */
export class Installation {
  readonly directory = mkdtempSync("/tmp/tl-");
  readonly launcher = join(this.directory, "bin/containerd-shim-tandem-v1");
  readonly runDirectory = join(this.directory, "run");
  /** What the fake zygote does; see fake-zygote.ts. */
  behaviour = "";

  constructor() {
    const lib = join(this.directory, "lib/tandem");
    mkdirSync(join(this.directory, "bin"), { recursive: true });
    mkdirSync(lib, { recursive: true });
    copyFileSync(join(built, "containerd-shim-tandem-v1"), this.launcher);
    copyFileSync(join(built, "tandem-dofork.so"), join(lib, "tandem-dofork.so"));
    writeFileSync(join(lib, "build-id"), "00112233445566778899aabbccddeeff\n");
    writeFileSync(join(lib, "zygote.args"), "--no-warnings\n# a comment\n--expose-gc\n");
    writeFileSync(
      join(lib, "main.mjs"),
      `import ${JSON.stringify(join(root, "test/launcher/fake-zygote.ts"))};\n`,
    );
    writeFileSync(join(lib, "node"), `#!/bin/sh\nexec ${process.execPath} "$@"\n`);
    chmodSync(join(lib, "node"), 0o755);
  }

  bundle(name: string, config?: unknown): string {
    const directory = join(this.directory, "bundles", name);
    mkdirSync(join(directory, "rootfs"), { recursive: true });
    if (config !== undefined)
      writeFileSync(
        join(directory, "config.json"),
        typeof config === "string" ? config : JSON.stringify(config),
      );
    return directory;
  }

  run(parameters: readonly string[], options: CommandOptions = {}): Promise<Finished> {
    const environment = {
      TANDEM_RUN_DIR: this.runDirectory,
      TANDEM_FAKE: this.behaviour,
      ...options.environment,
    };
    return run(this.launcher, parameters, { timeoutMs: 30_000, ...options, environment });
  }

  /** `start` of a container of its own bundle, with the flags as containerd gives them. */
  start(id: string, config?: unknown, options: CommandOptions = {}): Promise<Finished> {
    const flags = [
      "-namespace",
      "ns",
      "-address",
      "/run/c.sock",
      "-publish-binary",
      "/usr/bin/containerd",
      "-id",
      id,
    ];
    return this.run([...flags, "start"], { directory: this.bundle(id, config), ...options });
  }

  zygoteDirectories(): string[] {
    const directory = join(this.runDirectory, "z");
    return existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
  }

  sockets(): string[] {
    const directory = join(this.runDirectory, "s");
    return existsSync(directory) ? readdirSync(directory).filter((name) => name !== ".lock") : [];
  }

  requests(): FakeRequest[] {
    return this.#lines("requests") as FakeRequest[];
  }

  starts(): FakeStart[] {
    return this.#lines("starts") as FakeStart[];
  }

  #lines(name: string): unknown[] {
    return this.zygoteDirectories()
      .map((directory) => join(directory, name))
      .filter((path) => existsSync(path))
      .flatMap((path) => readFileSync(path, "utf8").trim().split("\n"))
      .map((line) => JSON.parse(line) as unknown);
  }

  /** Ends the fake zygote, and with it every socket that it keeps. */
  async killZygote(): Promise<void> {
    for (const directory of this.zygoteDirectories()) {
      const path = join(directory, "zygote.pid");
      if (!existsSync(path)) continue;
      const pid = Number(readFileSync(path, "utf8"));
      rmSync(path);
      try {
        process.kill(pid, "SIGKILL");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
      await waitFor(() => isGone(pid), 5000, `the end of the fake zygote ${pid}`);
    }
  }

  async dispose(): Promise<void> {
    await this.killZygote();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Ended, whether or not its parent has noticed. A first thread may be dead while others still hold the descriptors. */
export function isGone(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const threads = readdirSync(`/proc/${pid}/task`).length;
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z") && threads === 1;
  } catch {
    return true;
  }
}
