import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CommandOptions, type Finished, run, runOk } from "../../scripts/private-containerd/command.ts";
import {
  availableGenerations,
  type Containerd,
  type Generation,
  startContainerd,
} from "../../scripts/private-containerd/containerd.ts";
import { mountsBelow } from "../../scripts/private-containerd/leftovers.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** Each Docker Engine with the containerd of its time. */
const engines = { "20.10": "1.6", "26": "1.7", "28": "2.1" } as const satisfies Record<string, Generation>;
export type Engine = keyof typeof engines;

/** The client of Debian 12 talks to every engine. */
const client = join(root, ".cache/docker/20.10/usr/bin/docker");
const initProgram = join(root, ".cache/debian/tini/usr/bin/tini-static");

/** Why an engine cannot be started on this machine; undefined when it can. */
export function whyNoDocker(engine: Engine): string | undefined {
  if (!existsSync(client) || !existsSync(daemonOf(engine))) return `no Docker Engine ${engine} in .cache`;
  if (!availableGenerations().includes(engines[engine])) return `no containerd ${engines[engine]} in .cache`;
  return undefined;
}

function daemonOf(engine: Engine): string {
  return join(root, ".cache/docker", engine, "usr/sbin/dockerd");
}

/**
 * A Docker Engine and a containerd of its own, in a network namespace of their own: its data, state, socket and volumes are below
 * containerd's directory, its containers' cgroups below /<containerd's namespace>. Disposing of it ends whatever it has started.
 */
export class Docker implements AsyncDisposable {
  readonly containerd: Containerd;
  readonly #engine: Engine;
  readonly #onExit = () => this.#daemon?.kill("SIGKILL");
  #daemon: ChildProcess | undefined;

  private constructor(containerd: Containerd, engine: Engine) {
    this.containerd = containerd;
    this.#engine = engine;
    process.on("exit", this.#onExit);
  }

  /** `config`: more of daemon.json. */
  static async start(engine: Engine, config: Readonly<Record<string, unknown>>): Promise<Docker> {
    const containerd = await startContainerd({ generation: engines[engine], network: "own" });
    const docker = new Docker(containerd, engine);
    try {
      writeFileSync(docker.#path("daemon.json"), JSON.stringify({ ...docker.#ownPlaces(), ...config }));
      await docker.startDaemon();
      return docker;
    } catch (error) {
      await docker[Symbol.asyncDispose]();
      throw error;
    }
  }

  #path(name: string): string {
    return join(this.containerd.directory, name);
  }

  #ownPlaces(): Record<string, unknown> {
    const { address, namespace } = this.containerd;
    return {
      "data-root": this.#path("docker"),
      "exec-root": this.#path("docker-exec"),
      pidfile: this.#path("docker.pid"),
      hosts: [this.#address],
      containerd: address,
      "containerd-namespace": namespace,
      "containerd-plugins-namespace": `${namespace}-plugins`,
      "cgroup-parent": `/${namespace}`,
      "exec-opts": ["native.cgroupdriver=cgroupfs"],
      "storage-driver": "overlay2",
      "userland-proxy": false,
      "init-path": initProgram,
    };
  }

  get #address(): string {
    return `unix://${this.#path("docker.sock")}`;
  }

  /** The client; a status other than 0 is a result. */
  docker(parameters: readonly string[], options: CommandOptions = {}): Promise<Finished> {
    return run(client, this.#clientParameters(parameters), options);
  }

  /** The client, which must succeed; its stdout without the last newline. */
  async ok(parameters: readonly string[], options: CommandOptions = {}): Promise<string> {
    const finished = await this.docker(parameters, options);
    if (finished.status === 0) return finished.stdout.trimEnd();
    throw new Error(
      `docker ${parameters.join(" ")}: status ${finished.status}\n${finished.stdout}${finished.stderr}`,
    );
  }

  /** The client on a terminal of this size; what the terminal shows, and the client's status. */
  onTerminal(
    size: { readonly rows: number; readonly columns: number },
    parameters: readonly string[],
  ): Promise<Finished> {
    const words = [client, ...this.#clientParameters(parameters)].map(quoted).join(" ");
    const command = `stty rows ${size.rows} cols ${size.columns}; exec ${words}`;
    return run("script", ["--quiet", "--return", "--command", command, "/dev/null"]);
  }

  #clientParameters(parameters: readonly string[]): string[] {
    // Its configuration is not that of whoever runs the tests.
    return ["--config", this.#path("docker-client"), "--host", this.#address, ...parameters];
  }

  async inspect(name: string, format: string): Promise<string> {
    return this.ok(["inspect", "--format", format, name]);
  }

  async startDaemon(): Promise<void> {
    const parameters = ["--config-file", this.#path("daemon.json")];
    const [program, ...rest] = [...this.containerd.enterNetwork(), daemonOf(this.#engine), ...parameters] as [
      string,
      ...string[],
    ];
    // A daemon that was killed leaves it, and the next one takes whoever has the number now for itself.
    rmSync(this.#path("docker.pid"), { force: true });
    const log = openSync(this.#path("docker.log"), "a", 0o600);
    const daemon = spawn(program, rest, {
      cwd: "/",
      env: this.containerd.environment(),
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#daemon = daemon;
    const answers = async (): Promise<boolean> => {
      if (hasEnded(daemon)) throw new Error(`dockerd ended:\n${this.logs().slice(-3000)}`);
      return (await this.docker(["version"], { timeoutMs: 5000 })).status === 0;
    };
    await waitFor(answers, 30_000, "an answer of dockerd");
  }

  /** Without its containers: with live-restore they stay. */
  async endDaemon(signal: NodeJS.Signals): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined || hasEnded(daemon)) return;
    daemon.kill(signal);
    await waitFor(() => hasEnded(daemon), 20_000, `dockerd's end after ${signal}`);
  }

  logs(): string {
    return readFileSync(this.#path("docker.log"), "utf8");
  }

  /** Removes every container, and fails when something of one stays: a process, a mount, a cgroup, a bundle. */
  async assertClean(): Promise<void> {
    await this.#removeContainers();
    await this.endDaemon("SIGTERM");
    // What the daemon has mounted for itself, and a daemon that was killed has left.
    const own = [this.#path("docker"), this.#path("docker-exec/netns/default")];
    for (const mount of mountsBelow(this.containerd.directory).filter((path) => own.includes(path)))
      await runOk("umount", [mount]);
    await this.containerd.assertClean();
  }

  async #removeContainers(): Promise<void> {
    const ids = (await this.ok(["ps", "--all", "--quiet"])).split("\n").filter((id) => id !== "");
    if (ids.length > 0) await this.ok(["rm", "--force", ...ids]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endDaemon("SIGKILL");
    process.off("exit", this.#onExit);
    await this.containerd.stop();
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
