import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type CommandOptions, type Finished, run, runOk } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { ociBinary } from "../support/household.ts";
import { createBundle } from "./linux-container.ts";
import { exitOf } from "./oci-commands.ts";

/** config.json as `tandem-oci spec --rootless` writes it, as far as tests change it. */
export interface RootlessSpec {
  readonly process: Record<string, unknown>;
  readonly linux: Record<string, unknown> & { readonly namespaces: readonly object[] };
  readonly [key: string]: unknown;
}

/** Of the range that `useradd` granted. */
function firstOf(file: string, name: string): number {
  const lines = readFileSync(file, "utf8").split("\n");
  const line = lines.find((entry) => entry.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`useradd grants no subordinate ids in ${file} on this machine`);
  return Number(line.split(":")[1]);
}

/** It may have ended since it was listed: a server's guests do with it. */
function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

type Change = (spec: RootlessSpec) => object;

/** A user of this machine, with ranges of subordinate ids, for as long as a test lasts. */
export class RootlessUser {
  readonly directory = mkdtempSync("/tmp/tr-");
  readonly runtimeDirectory = join(this.directory, "xdg");
  readonly home = join(this.directory, "home");
  readonly name: string;
  readonly uid: number;
  /** First of their subordinate ids. */
  readonly subordinate: number;
  readonly subordinateGroup: number;
  readonly #bundles: { remove(): void }[] = [];

  private constructor(name: string, uid: number) {
    this.name = name;
    this.uid = uid;
    this.subordinate = firstOf("/etc/subuid", name);
    this.subordinateGroup = firstOf("/etc/subgid", name);
    chmodSync(this.directory, 0o755);
    for (const path of [this.runtimeDirectory, this.home]) {
      mkdirSync(path, { mode: 0o700 });
      chownSync(path, uid, uid);
    }
  }

  static async create(): Promise<RootlessUser> {
    const name = `tr-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
    // Another test may hold the lock of /etc/passwd.
    await waitFor(
      async () => (await run("useradd", ["--no-create-home", "--user-group", name])).status === 0,
      10_000,
      `user ${name}`,
    );
    const uid = Number(await runOk("id", ["-u", name]));
    return new RootlessUser(name, uid);
  }

  /** Why the tests cannot run here; undefined when they can. */
  static obstacle(): string | undefined {
    if (process.geteuid?.() !== 0) return "users cannot be made without root";
    for (const program of ["/usr/bin/newuidmap", "/usr/sbin/useradd", "/usr/bin/setpriv"])
      if (!existsSync(program)) return `${program} is not installed`;
    return existsSync(ociBinary) ? undefined : `${ociBinary} is not built`;
  }

  /** What runs a program as this user, with nothing of our environment but what is given. */
  command(
    program: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): readonly [string, ...string[]] {
    const variables = {
      HOME: this.home,
      PATH: "/usr/bin:/bin:/usr/sbin:/sbin",
      XDG_RUNTIME_DIR: this.runtimeDirectory,
      ...environment,
    };
    const entries = Object.entries(variables).filter(([, value]) => value !== "");
    return [
      "setpriv",
      ...["--reuid", String(this.uid), "--regid", String(this.uid), "--init-groups"],
      ...["env", "-i", ...entries.map(([key, value]) => `${key}=${value}`)],
      ...program,
    ];
  }

  do(program: readonly string[], options: CommandOptions = {}): Promise<Finished> {
    const { environment, ...rest } = options;
    const [first, ...others] = this.command(program, environment);
    return run(first, others, { directory: "/", ...rest });
  }

  /** `tandem-oci` as this user. */
  oci(args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
    return this.do([ociBinary, ...args], options);
  }

  async ok(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.oci(args);
    if (status !== 0) throw new Error(`tandem-oci ${args.join(" ")}: status ${status}\n${stderr}`);
    return stdout;
  }

  /** A bundle of this user's with a busybox that runs a shell script. */
  async bundle(script: string, change: Change = (spec) => spec): Promise<string> {
    const bundle = createBundle();
    this.#bundles.push(bundle);
    await runOk("chown", ["-R", `${this.uid}:${this.uid}`, bundle.path]);
    await this.ok("spec", "--rootless", "--bundle", bundle.path);
    const file = join(bundle.path, "config.json");
    const spec = JSON.parse(readFileSync(file, "utf8")) as RootlessSpec;
    const process = { ...spec.process, terminal: false, args: ["sh", "-c", script] };
    const root = { path: "rootfs", readonly: false };
    writeFileSync(file, JSON.stringify(change({ ...spec, process, root })));
    return bundle.path;
  }

  /** `run` of a bundle in the foreground. */
  runBundle(bundle: string, options: CommandOptions = {}): Promise<Finished> {
    return this.oci(["run", "--bundle", bundle, "c1"], options);
  }

  /** `create`; its output goes to a file of the bundle. */
  async create(id: string, bundle: string, ...general: string[]): Promise<void> {
    const output = openSync(join(bundle, "output"), "w");
    try {
      const [first, ...others] = this.command([ociBinary, ...general, "create", "--bundle", bundle, id]);
      const child = spawn(first, others, { stdio: ["ignore", output, output], cwd: "/" });
      const status = await exitOf(child);
      if (status !== 0) throw new Error(`create ${id}: ${readFileSync(join(bundle, "output"), "utf8")}`);
    } finally {
      closeSync(output);
    }
  }

  async begin(id: string, bundle: string, ...general: string[]): Promise<void> {
    await this.create(id, bundle, ...general);
    await this.ok(...general, "start", id);
  }

  async status(id: string): Promise<string> {
    return (JSON.parse(await this.ok("state", id)) as { status: string }).status;
  }

  /** Both maps: the user is the container's root, the rest are the subordinate ids. */
  get ranges(): object {
    const mappings = (subordinate: number): object[] => [
      { containerID: 0, hostID: this.uid, size: 1 },
      { containerID: 1, hostID: subordinate, size: 65_536 },
    ];
    return {
      uidMappings: mappings(this.subordinate),
      gidMappings: mappings(this.subordinateGroup),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const store = join(this.runtimeDirectory, "tandem/oci");
    if (existsSync(store)) for (const id of readdirSync(store)) await this.oci(["delete", "--force", id]);
    for (const bundle of this.#bundles) bundle.remove();
    // Servers and what else goes on by itself: nobody but we runs anything as this user.
    for (const pid of this.#processes()) endProcess(pid);
    await waitFor(() => this.#processes().length === 0, 10_000, `end of the processes of ${this.name}`);
    await waitFor(
      async () => (await run("userdel", [this.name])).status === 0,
      10_000,
      `removal of ${this.name}`,
    );
    rmSync(this.directory, { recursive: true, force: true });
    rmSync(`/tmp/tandem-${this.uid}`, { recursive: true, force: true });
  }

  #processes(): number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        try {
          const status = readFileSync(`/proc/${pid}/status`, "latin1");
          const id = Number(/^Uid:\t(\d+)/m.exec(status)?.[1]);
          const own = id === this.uid || (id >= this.subordinate && id < this.subordinate + 65_536);
          return own && !/^State:\tZ/m.test(status);
        } catch {
          return false;
        }
      });
  }
}
