import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bridgeNetwork, forgetNetwork } from "./cni.ts";
import { type CommandOptions, type Finished, run, runOk } from "./command.ts";
import { type CriConfig, containerdConfig } from "./containerd-config.ts";
import { listLeftovers, mountsBelow, type Owner, ownedProcesses, removeCgroups } from "./leftovers.ts";
import { waitFor } from "./wait-for.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** Every generation that the tests know; 2.4 is there only where Go could build it. */
export const generations = ["1.6", "1.7", "2.1", "2.4"] as const;
export type Generation = (typeof generations)[number];

/** The generations that scripts/setup has brought to this machine. */
export function availableGenerations(): Generation[] {
  return generations.filter((generation) => existsSync(join(binariesOf(generation), "containerd")));
}

function binariesOf(generation: Generation): string {
  return join(root, ".cache/containerd", generation, "bin");
}

function shimsOf(options: ContainerdOptions): string {
  return options.shimDirectory ?? process.env["TANDEM_TEST_SHIMS"] ?? join(root, "dist/bin");
}

export interface ContainerdOptions {
  readonly generation: Generation;
  /** Folder that is put first on containerd's PATH; unless told that of TANDEM_TEST_SHIMS, or dist/bin. */
  readonly shimDirectory?: string;
  /** The most talkative log: it names every event. */
  readonly debug?: boolean;
  /** With CRI, containerd gets a bridge CNI. */
  readonly cri?: CriConfig;
  /** `own`: a network namespace for itself, as it has with CRI unless told that bridges may be made in the caller's. */
  readonly network?: "own" | "inherited";
  /** A process group of its own: Ctrl-C on the caller's terminal does not end it before the caller has cleaned up. */
  readonly detached?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A private containerd, with everything below one short directory. Disposing of it is stop(). */
export interface Containerd extends AsyncDisposable {
  readonly generation: Generation;
  readonly directory: string;
  /** Its gRPC socket, a bare path. */
  readonly address: string;
  /** A containerd namespace of its own: cgroups and processes of containers carry its name. */
  readonly namespace: string;
  readonly runDirectory: string;
  readonly ctrPath: string;
  /** Path of this generation's ctr. */
  readonly ctrProgram: string;
  /** Path of the shim's executable that it runs. */
  readonly shimProgram: string;
  pid(): number;
  ctr(
    parameters: readonly string[],
    options?: CommandOptions & { readonly namespace?: string },
  ): Promise<Finished>;
  ctrOk(
    parameters: readonly string[],
    options?: CommandOptions & { readonly namespace?: string },
  ): Promise<string>;
  /** `ctr run` with FIFOs below the directory instead of /run/containerd. */
  runContainer(parameters: readonly string[], options?: CommandOptions): Promise<Finished>;
  importImage(archive: string, namespace?: string): Promise<void>;
  /** What containerd itself runs with: PATH with the shim, TANDEM_RUN_DIR, TANDEM_STATE_DIR. */
  environment(): Readonly<NodeJS.ProcessEnv>;
  /** Command line before a program that is to run in containerd's network namespace. */
  enterNetwork(): readonly string[];
  /** Runs a program in containerd's network namespace. */
  inNetwork(program: string, parameters: readonly string[], options?: CommandOptions): Promise<Finished>;
  logs(): string;
  /** SIGTERM, then the same containerd again. Tasks stay. */
  restart(): Promise<void>;
  /** SIGTERM; start again with start(). */
  terminate(): Promise<void>;
  /** SIGKILL; start again with start(). */
  kill9(): Promise<void>;
  start(): Promise<void>;
  /** What shims and containers have left behind (leftovers.ts). */
  leftovers(): string[];
  /** Waits until nothing is left, and fails with the list when something stays. */
  assertClean(milliseconds?: number): Promise<void>;
  /** Ends containerd and whatever belongs to its directory, and removes it. Does not judge: assertClean does. */
  stop(): Promise<void>;
}

/**
 * Starts a private containerd. Its own root, state, sockets, TANDEM_RUN_DIR and TANDEM_STATE_DIR; never the machine's.
 *
 * @throws Error with the end of its log when it does not come up.
 */
export async function startContainerd(options: ContainerdOptions): Promise<Containerd> {
  const containerd = new PrivateContainerd(options);
  await containerd.prepareNetwork();
  await containerd.start();
  return containerd;
}

class PrivateContainerd implements Containerd {
  readonly generation: Generation;
  // Short: the shim's socket, <directory>/run/s/<64 digits>, must fit into 107 bytes (unix(7)).
  readonly directory = mkdtempSync("/tmp/td-");
  readonly address = join(this.directory, "c.sock");
  readonly namespace = basename(this.directory);
  readonly runDirectory = join(this.directory, "run");
  readonly ctrPath: string;
  readonly ctrProgram: string;
  readonly shimProgram: string;
  readonly #options: ContainerdOptions;
  readonly #onExit = () => this.#killNow();
  #process: ChildProcess | undefined;
  #network: ChildProcess | undefined;

  constructor(options: ContainerdOptions) {
    this.#options = options;
    this.generation = options.generation;
    this.ctrPath = join(binariesOf(options.generation), "ctr");
    this.shimProgram = join(shimsOf(options), "containerd-shim-tandem-v1");
    this.ctrProgram = join(binariesOf(options.generation), "ctr");
    const { generation, directory, address } = this;
    writeFileSync(
      join(directory, "config.toml"),
      containerdConfig({ generation, directory, address, cri: options.cri }),
    );
    process.on("exit", this.#onExit);
  }

  /** A network namespace lives as long as a process in it; one that only sleeps holds it across containerd's restarts. */
  async prepareNetwork(): Promise<void> {
    const { cri, network = cri === undefined ? "inherited" : "own" } = this.#options;
    if (cri !== undefined) {
      mkdirSync(join(this.directory, "cni"));
      writeFileSync(
        join(this.directory, "cni/10-tandem.conflist"),
        JSON.stringify(bridgeNetwork(this.directory, this.namespace)),
      );
    }
    if (network === "inherited") return;
    this.#network = spawn("unshare", ["--net", "sleep", "infinity"], { stdio: "ignore" });
    const holder = this.#network.pid ?? 0;
    const own = statSync("/proc/self/ns/net").ino;
    await waitFor(() => statSync(`/proc/${holder}/ns/net`).ino !== own, 5000, "a network namespace");
    await runOk("nsenter", [`--net=/proc/${holder}/ns/net`, "ip", "link", "set", "lo", "up"]);
  }

  pid(): number {
    return this.#process?.pid ?? 0;
  }

  async start(): Promise<void> {
    const binary = join(binariesOf(this.generation), "containerd");
    const parameters = [
      "-c",
      join(this.directory, "config.toml"),
      "-l",
      this.#options.debug === true ? "trace" : "info",
    ];
    const [program, ...rest] = [...this.enterNetwork(), binary, ...parameters] as [string, ...string[]];
    const log = openSync(join(this.directory, "log"), "a", 0o600);
    this.#process = spawn(program, rest, {
      cwd: "/",
      env: this.environment(),
      stdio: ["ignore", log, log],
      detached: this.#options.detached === true,
    });
    closeSync(log);
    const child = this.#process;
    const answers = async (): Promise<boolean> => {
      if (child.exitCode !== null) throw new Error("containerd ended");
      const ctr = await this.ctr(["version"], { timeoutMs: 5000 });
      return ctr.status === 0;
    };
    try {
      await waitFor(() => existsSync(this.address) || child.exitCode !== null, 30_000, "containerd's socket");
      await waitFor(answers, 30_000, "an answer of containerd");
    } catch (cause) {
      throw new Error(`containerd ${this.generation} does not come up:\n${this.logs().slice(-3000)}`, {
        cause,
      });
    }
  }

  environment(): Readonly<NodeJS.ProcessEnv> {
    return {
      ...process.env,
      PATH: [
        dirname(this.shimProgram),
        binariesOf(this.generation),
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
        process.env["PATH"] ?? "",
      ].join(":"),
      TANDEM_RUN_DIR: this.runDirectory,
      TANDEM_STATE_DIR: join(this.directory, "lib"),
      ...this.#options.environment,
    };
  }

  enterNetwork(): string[] {
    return this.#network === undefined ? [] : ["nsenter", `--net=/proc/${this.#network.pid}/ns/net`];
  }

  ctr(
    parameters: readonly string[],
    options: CommandOptions & { readonly namespace?: string } = {},
  ): Promise<Finished> {
    const { namespace = this.namespace, ...rest } = options;
    // Else ctr says something of this machine's cgroups now and then, among what the container writes.
    const environment = { CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS: "1", ...rest.environment };
    const words = ["--address", this.address, "--namespace", namespace, ...parameters];
    return run(this.ctrProgram, words, { ...rest, environment });
  }

  async ctrOk(
    parameters: readonly string[],
    options: CommandOptions & { readonly namespace?: string } = {},
  ): Promise<string> {
    const finished = await this.ctr(parameters, options);
    if (finished.status === 0) return finished.stdout;
    throw new Error(
      `ctr ${parameters.join(" ")}: status ${finished.status}\n${finished.stdout}${finished.stderr}`,
    );
  }

  runContainer(parameters: readonly string[], options: CommandOptions = {}): Promise<Finished> {
    return this.ctr(["run", "--fifo-dir", join(this.directory, "fifo"), ...parameters], options);
  }

  async importImage(archive: string, namespace = this.namespace): Promise<void> {
    await this.ctrOk(["images", "import", "--all-platforms", archive], { namespace });
  }

  inNetwork(program: string, parameters: readonly string[], options: CommandOptions = {}): Promise<Finished> {
    const [first, ...rest] = [...this.enterNetwork(), program, ...parameters] as [string, ...string[]];
    return run(first, rest, options);
  }

  logs(): string {
    const path = join(this.directory, "log");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  async restart(): Promise<void> {
    await this.#end("SIGTERM");
    await this.start();
  }

  terminate(): Promise<void> {
    return this.#end("SIGTERM");
  }

  kill9(): Promise<void> {
    return this.#end("SIGKILL");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await waitFor(
      () => child.exitCode !== null || child.signalCode !== null,
      20_000,
      `containerd's end after ${signal}`,
    );
  }

  #owner(): Owner {
    const pids = [this.#process?.pid, this.#network?.pid].filter((pid) => pid !== undefined);
    return { directory: this.directory, namespaces: [this.namespace, `${this.namespace}-cri`], pids };
  }

  leftovers(): string[] {
    return listLeftovers(this.#owner());
  }

  async assertClean(milliseconds = 5000): Promise<void> {
    try {
      await waitFor(() => this.leftovers().length === 0, milliseconds, "nothing left behind");
    } catch (cause) {
      throw new Error(`left behind:\n  ${this.leftovers().join("\n  ")}`, { cause });
    }
  }

  async stop(): Promise<void> {
    await this.#deleteTasks();
    await this.#end("SIGTERM");
    const left = (): number[] => ownedProcesses(this.#owner()).map(({ pid }) => pid);
    for (const pid of left()) kill(pid);
    await waitFor(() => left().length === 0, 10_000, `the end of ${left().join(", ")}`);
    this.#network?.kill("SIGKILL");
    for (const mount of mountsBelow(this.directory)) await run("umount", ["--lazy", mount]);
    const { namespaces } = this.#owner();
    await waitFor(() => removeCgroups(namespaces), 5000, "cgroups removed");
    process.off("exit", this.#onExit);
    forgetNetwork(this.namespace);
    // runc's shim keeps its containers in a place of its own, and an empty directory for each namespace.
    for (const namespace of namespaces)
      rmSync(join("/run/containerd/runc", namespace), { recursive: true, force: true });
    rmSync(this.directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** The decent way first: a shim that is killed keeps a socket, and runc a state directory, outside of ours. */
  async #deleteTasks(): Promise<void> {
    if (this.leftovers().length === 0 || this.#process?.exitCode !== null) return;
    const list = await this.ctr(["tasks", "list", "--quiet"], { timeoutMs: 5000 });
    for (const id of list.stdout.split("\n").filter((line) => line !== "")) {
      // It may hang or fail when the test has broken its shim; what stays is ended by force right after.
      await this.ctr(["tasks", "delete", "--force", id], { timeoutMs: 5000 }).catch(() => undefined);
    }
  }

  /** When a test dies on the way: no wait is possible any more, so only what runs is ended. */
  #killNow(): void {
    for (const child of [this.#process, this.#network]) child?.kill("SIGKILL");
    for (const { pid } of ownedProcesses(this.#owner())) kill(pid);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
