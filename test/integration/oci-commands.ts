import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  globSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { type CommandOptions, type Finished, run } from "../../scripts/private-containerd/command.ts";
import { patience } from "../../scripts/private-containerd/patience.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { Household, ociBinary, type Servers } from "../support/household.ts";
import { createBundle, specOf } from "./linux-container.ts";

type SpecChange = Parameters<typeof specOf>[1];

/** A `tandem-oci` with directories, a zygote and a server of its own, and cgroups below one of its own. */
export class OciCommands {
  readonly directory = mkdtempSync("/tmp/to-");
  readonly #household = new Household(this.directory);
  readonly runDirectory = this.#household.runDirectory;
  readonly root = join(this.directory, "root");
  readonly cgroup = `/${basename(this.directory)}`;
  readonly #general: readonly string[];
  readonly #bundles: { remove(): void }[] = [];
  readonly #children: ChildProcess[] = [];

  /** @param general options before each verb, besides --root */
  constructor(general: readonly string[] = []) {
    this.#general = ["--root", this.root, ...general];
  }

  /** A bundle with a busybox in it that runs a shell script. */
  bundle(script: string, change: SpecChange = {}): string {
    const bundle = createBundle();
    this.#bundles.push(bundle);
    const linux = { cgroupsPath: `${this.cgroup}/${basename(bundle.path)}`, ...change?.linux };
    writeFileSync(join(bundle.path, "config.json"), JSON.stringify(specOf(script, { ...change, linux })));
    return bundle.path;
  }

  get environment(): Record<string, string> {
    return this.#household.environment;
  }

  /** The command line after `tandem-oci --root …`. */
  run(...args: string[]): Promise<Finished> {
    return this.call(args);
  }

  call(args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
    return run(ociBinary, [...this.#general, ...args], {
      ...options,
      environment: { ...this.environment, ...options.environment },
    });
  }

  /** The same, for one that must succeed; returns its stdout. */
  async ok(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(...args);
    if (status !== 0) throw new Error(`tandem-oci ${args.join(" ")}: status ${status}\n${stderr}`);
    return stdout;
  }

  /** Creates a container whose output goes to a file of the bundle; ends when the container is there. */
  async create(id: string, bundle: string, ...flags: string[]): Promise<string> {
    const child = this.spawn(["create", "--bundle", bundle, ...flags, id], join(bundle, "output"));
    const status = await exitOf(child);
    const output = readFileSync(join(bundle, "output"), "utf8");
    if (status !== 0) throw new Error(`create ${id}: status ${status}\n${output}`);
    return join(bundle, "output");
  }

  /** A script that finds `tandem-oci --root …` in $OCI: a shell closes descriptors and leaves directories as no test can. */
  shell(script: string, wrapper: readonly string[] = []): Promise<Finished> {
    const environment = { ...this.environment, OCI: [ociBinary, ...this.#general].join(" ") };
    const [program = "/bin/sh", ...rest] = [...wrapper, "/bin/sh", "-c", script];
    return run(program, rest, { environment });
  }

  /** create and start. */
  async begin(id: string, bundle: string, ...flags: string[]): Promise<string> {
    const output = await this.create(id, bundle, ...flags);
    await this.ok("start", id);
    return output;
  }

  /** A command line that goes on while the test does something else. */
  spawn(args: readonly string[], output: string, how: "w" | "a" = "w"): ChildProcess {
    const fd = openSync(output, how);
    try {
      const child = spawn(ociBinary, [...this.#general, ...args], {
        env: { ...process.env, ...this.environment },
        stdio: ["ignore", fd, fd],
      });
      this.#children.push(child);
      return child;
    } finally {
      closeSync(fd);
    }
  }

  async state(id: string): Promise<Record<string, unknown>> {
    return JSON.parse(await this.ok("state", id)) as Record<string, unknown>;
  }

  async waitForStatus(id: string, status: string): Promise<void> {
    await waitFor(async () => (await this.state(id))["status"] === status, 10_000, `${id} is ${status}`);
  }

  /** What is left of containers: directories, cgroups. */
  leftovers(): string[] {
    const kept = existsSync(this.root) ? readdirSync(this.root) : [];
    return [...kept, ...globSync(`/sys/fs/cgroup/{*/,}${basename(this.cgroup)}/*/`)];
  }

  /** Those of the first zygote. */
  servers(): Servers | undefined {
    return this.#household.servers()[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    if (existsSync(this.root))
      for (const id of readdirSync(this.root)) await this.run("delete", "--force", id);
    this.#household.end();
    // What a test left behind must not hide why it failed.
    const attempt = (path: string, remove: () => void, more: () => string): void => {
      try {
        remove();
      } catch (error) {
        process.stdout.write(`${path}: ${String(error)}\n${more()}\n`);
        process.exitCode = 1;
      }
    };
    for (const path of globSync(`/sys/fs/cgroup/{*/,}${this.cgroup.slice(1)}`))
      attempt(
        path,
        () => rmdirSync(path),
        () => globSync(`${path}/**/`).join("\n"),
      );
    for (const bundle of this.#bundles) bundle.remove();
    attempt(
      this.directory,
      () => rmSync(this.directory, { recursive: true, force: true }),
      () => readFileSync("/proc/self/mounts", "utf8"),
    );
  }
}

/** Exit code of a child, or 128 and its signal's name is an error. */
export function exitOf(child: ChildProcess): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    reject(new Error(`pid ${child.pid}: does not end`));
  }, 30_000 * patience);
  child.once("exit", (code, signal) => {
    clearTimeout(timer);
    if (code !== null) resolve(code);
    else reject(new Error(`pid ${child.pid}: ended by ${signal}`));
  });
  // A test that failed before it asks for this has said enough.
  promise.catch(() => undefined);
  return promise;
}

/** Lines of JSON. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
