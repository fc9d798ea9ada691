import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CommandOptions, type Finished, run } from "../../scripts/private-containerd/command.ts";
import { containerCgroups, removeCgroups } from "../../scripts/private-containerd/leftovers.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { Household, ociBinary } from "./household.ts";
import { onTerminal, shellLine } from "./on-terminal.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const program = join(root, ".cache/debian/podman/usr/bin/podman");
const catatonit = join(root, ".cache/debian/catatonit/usr/bin");
const conmon = "/usr/bin/conmon";

/** podman's own name for it, where the containers of every podman with the cgroupfs manager are. */
const cgroupParent = "libpod_parent";

/** Why podman cannot be run on this machine; undefined when it can. */
export function whyNoPodman(): string | undefined {
  for (const needed of [program, catatonit, conmon, ociBinary])
    if (!existsSync(needed)) return `no ${needed}`;
  return undefined;
}

/**
 * A podman whose storage, state and Tandem are its own, in a mount namespace of its own. There the directory of the cgroup
 * hierarchies is read-only: podman makes plain directories in it for those that are not mounted, and cannot remove them.
 */
export class Podman implements AsyncDisposable {
  readonly directory: string;
  /** podman and conmon pass no environment on. */
  readonly #runtime: string;
  readonly #namespace: ChildProcess;
  /** Cgroups of other podmans. */
  readonly #others = new Set(containerCgroups([cgroupParent]));
  readonly #onExit = () => this.#killNow();

  private constructor(directory: string, namespace: ChildProcess) {
    this.directory = directory;
    this.#runtime = new Household(join(directory, "t")).program();
    this.#namespace = namespace;
    process.on("exit", this.#onExit);
  }

  static async start(): Promise<Podman> {
    const directory = mkdtempSync("/tmp/tp-");
    const script = "mount -o remount,bind,ro /sys/fs/cgroup 2>/dev/null; exec sleep infinity";
    const namespace = spawn("unshare", ["--mount", "--propagation", "private", "sh", "-c", script], {
      stdio: "ignore",
    });
    const podman = new Podman(directory, namespace);
    podman.#configure();
    const comm = `/proc/${namespace.pid}/comm`;
    await waitFor(() => readFileSync(comm, "utf8") === "sleep\n", 5000, "a mount namespace");
    return podman;
  }

  #path(name: string): string {
    return join(this.directory, name);
  }

  #configure(): void {
    writeFileSync(
      this.#path("storage.conf"),
      `[storage]\ndriver = "overlay"\nrunroot = "${this.#path("run")}"\ngraphroot = "${this.#path("root")}"\n`,
    );
    // The limits that podman sets by itself are higher than a machine without CAP_SYS_RESOURCE lets anybody go.
    writeFileSync(
      this.#path("containers.conf"),
      `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
init_path = "${catatonit}/catatonit"
[engine]
helper_binaries_dir = ["${catatonit}"]
`,
    );
    mkdirSync(this.#path("home/.config/containers"), { recursive: true });
    writeFileSync(
      this.#path("home/.config/containers/policy.json"),
      '{"default":[{"type":"insecureAcceptAnything"}]}',
    );
  }

  /** The words of a command line of podman. */
  words(parameters: readonly string[]): [string, ...string[]] {
    return [
      ...["nsenter", `--mount=/proc/${this.#namespace.pid}/ns/mnt`],
      ...[
        "env",
        "--ignore-environment",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        `HOME=${this.#path("home")}`,
        `CONTAINERS_CONF=${this.#path("containers.conf")}`,
      ],
      ...[`CONTAINERS_STORAGE_CONF=${this.#path("storage.conf")}`],
      ...[
        program,
        "--root",
        this.#path("root"),
        "--runroot",
        this.#path("run"),
        "--tmpdir",
        this.#path("tmp"),
      ],
      ...["--cgroup-manager", "cgroupfs", "--events-backend", "file", "--storage-driver", "overlay"],
      ...["--conmon", conmon, "--runtime", this.#runtime],
      ...parameters,
    ] as [string, ...string[]];
  }

  /** A status other than 0 is a result. */
  podman(parameters: readonly string[], options: CommandOptions = {}): Promise<Finished> {
    const [first, ...rest] = this.words(parameters);
    return run(first, rest, options);
  }

  /** Must succeed; its stdout without the last newline. */
  async ok(parameters: readonly string[], options: CommandOptions = {}): Promise<string> {
    const finished = await this.podman(parameters, options);
    if (finished.status === 0) return finished.stdout.trimEnd();
    throw new Error(
      `podman ${parameters.join(" ")}: status ${finished.status}\n${finished.stdout}${finished.stderr}`,
    );
  }

  /** In a shell, for redirections; `"$@"` is podman and its parameters. */
  inShell(script: string, parameters: readonly string[]): Promise<Finished> {
    return run("sh", ["-c", script, "sh", ...this.words(parameters)]);
  }

  /** On a terminal of 33 rows and 77 columns, answered once something like `prompt` was said; what it shows, and podman's status. */
  onTerminal(parameters: readonly string[], prompt: RegExp): Promise<Finished> {
    return onTerminal(`stty rows 33 cols 77; exec ${shellLine(this.words(parameters))}`, prompt);
  }

  /** What runs in the namespace but its keeper, each with the name of its parent: podman, conmon, the household of Tandem. */
  processes(): { readonly pid: number; readonly name: string; readonly parent: string }[] {
    const keeper = this.#namespace.pid ?? 0;
    const own = mountNamespaceOf(keeper);
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => pid > 0 && pid !== keeper && own !== "" && mountNamespaceOf(pid) === own)
      .map((pid) => {
        const parent = /^PPid:\s+(\d+)$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? "";
        return { pid, name: read(`/proc/${pid}/comm`).trim(), parent: read(`/proc/${parent}/comm`).trim() };
      });
  }

  /**
   * Removes pods and containers, and fails when something of a container stays. Of pods the parents of containers' cgroups do,
   * where podman knows nothing of the hierarchy (name=systemd, unified): no runtime removes them.
   */
  async assertClean(): Promise<void> {
    await this.ok(["pod", "rm", "--all", "--force", "--time", "0"]);
    await this.ok(["rm", "--all", "--force", "--time", "0"]);
    const left = (): string[] => [
      ...this.processes()
        .filter(({ name }) => !/^tandem-(zygote|spare|oci)/.test(name))
        .map(({ pid, name }) => `process ${pid} ${name}`),
      ...containerCgroups([cgroupParent]).filter(
        (path) => path.includes("/libpod-") && !this.#others.has(path),
      ),
    ];
    await waitFor(() => left().length === 0, 10_000, "nothing left").catch((cause: unknown) => {
      throw new Error(`left behind:\n  ${left().join("\n  ")}`, { cause });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.podman(["rm", "--all", "--force", "--time", "0"]);
    process.off("exit", this.#onExit);
    this.#killProcesses();
    await waitFor(() => this.processes().length === 0, 10_000, "the end of what was started");
    this.#namespace.kill("SIGKILL");
    // Every mount of it was in its namespace, which ends with its last process.
    if (this.#others.size === 0)
      await waitFor(() => removeCgroups([cgroupParent]), 5000, "podman's cgroup to be free");
    rmSync(this.directory, { recursive: true, force: true });
  }

  #killProcesses(): void {
    for (const { pid } of this.processes()) kill(pid);
  }

  #killNow(): void {
    this.#killProcesses();
    this.#namespace.kill("SIGKILL");
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** As readlink(2) says it; "" for a process that has ended. */
function mountNamespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return "";
  }
}

/** A process may end while it is looked at; then there is nothing to read. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
