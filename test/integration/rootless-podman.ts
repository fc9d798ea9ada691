import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Finished, run, runOk } from "../../scripts/private-containerd/command.ts";
import { ociBinary } from "../support/household.ts";
import { createBundle } from "./linux-container.ts";
import { RootlessUser } from "./rootless-user.ts";

const packages = join(dirname(fileURLToPath(import.meta.url)), "../../.cache/debian");
const podmanBinary = join(packages, "podman/usr/bin/podman");

/** Podman of a user who is not root, with configuration, storage and an image of its own. */
export class RootlessPodman {
  readonly user: RootlessUser;
  readonly #configuration: string;
  readonly #tun: string;

  private constructor(user: RootlessUser) {
    this.user = user;
    this.#configuration = join(user.directory, "containers");
    this.#tun = join(user.directory, "tun");
  }

  static obstacle(): string | undefined {
    for (const file of [podmanBinary, "/usr/bin/conmon", "/usr/bin/slirp4netns"])
      if (!existsSync(file)) return `${file} is not there`;
    return RootlessUser.obstacle();
  }

  static async create(): Promise<RootlessPodman> {
    const podman = new RootlessPodman(await RootlessUser.create());
    podman.#configure();
    if ((statSync("/dev/net/tun", { throwIfNoEntry: false })?.mode ?? 0o666) % 0o10 !== 6) {
      await runOk("mknod", [podman.#tun, "c", "10", "200"]);
      chmodSync(podman.#tun, 0o666);
    }
    const bundle = createBundle();
    const archive = join(podman.user.directory, "image.tar");
    await runOk("tar", ["-C", bundle.rootfs, "-cf", archive, "."]);
    bundle.remove();
    await podman.ok("import", archive, "box");
    return podman;
  }

  /** Below the user's home directory; the machine's own configuration is out of sight. */
  #configure(): void {
    const { home, name } = this.user;
    const own = join(home, ".config/containers");
    mkdirSync(own, { recursive: true });
    writeFileSync(
      join(own, "containers.conf"),
      `[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "tandem"
runtime_supports_nocgroup = ["tandem"]
conmon_path = ["/usr/bin/conmon"]
helper_binaries_dir = ["${packages}/podman/usr/lib/podman"]
init_path = "${packages}/catatonit/usr/bin/catatonit"
[engine.runtimes]
tandem = ["${ociBinary}"]
`,
    );
    writeFileSync(join(own, "storage.conf"), '[storage]\ndriver = "vfs"\n');
    mkdirSync(this.#configuration);
    writeFileSync(
      join(this.#configuration, "policy.json"),
      '{"default":[{"type":"insecureAcceptAnything"}]}',
    );
    copyFileSync(join(this.#configuration, "policy.json"), join(own, "policy.json"));
    writeFileSync(join(this.#configuration, "registries.conf"), "unqualified-search-registries = []\n");
    chownTree(home, name);
  }

  /** The command line; a mount namespace around it hides /etc/containers, and lets the user open /dev/net/tun. */
  wrap(parameters: readonly string[]): readonly [string, ...string[]] {
    const hidden = existsSync("/etc/containers")
      ? [`mount --bind ${this.#configuration} /etc/containers`]
      : [];
    const tun = existsSync(this.#tun) ? [`mount --bind ${this.#tun} /dev/net/tun`] : [];
    const script = [...hidden, ...tun, 'exec "$@"'].join(" && ");
    const command = this.user.command([podmanBinary, ...parameters]);
    return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script, "--", ...command];
  }

  call(...parameters: string[]): Promise<Finished> {
    const [program, ...rest] = this.wrap(parameters);
    return run(program, rest, { directory: "/" });
  }

  /** The same, for what must succeed; returns its stdout. */
  async ok(...parameters: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.call(...parameters);
    if (status !== 0) throw new Error(`podman ${parameters.join(" ")}: status ${status}\n${stderr}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.call("pod", "rm", "--all", "--force", "--time", "0");
    await this.call("rm", "--all", "--force", "--time", "0");
    await this.user[Symbol.asyncDispose]();
  }
}

function chownTree(path: string, name: string): void {
  const { status, stderr } = spawnSync("chown", ["-R", `${name}:`, path], { encoding: "utf8" });
  if (status !== 0) throw new Error(`chown ${path}: ${stderr}`);
}
