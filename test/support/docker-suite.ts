import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, type Test } from "uvu";
import { buildModule } from "../../examples/hello-wasm/build.ts";
import type { Finished } from "../../scripts/private-containerd/command.ts";
import { Docker, type Engine, whyNoDocker } from "./docker.ts";
import { busyboxLayer } from "./image.ts";

export const runtimeType = "io.containerd.tandem.v1";

/** daemon.json with Tandem for every container. */
export const config = {
  runtimes: { tandem: { runtimeType } },
  "default-runtime": "tandem",
  "live-restore": true,
  "shutdown-timeout": 5,
};

/** The newest engine that the suites are run on in full; the newest of all gets what differs between engines. */
const thorough: Engine = "26";

/** Ends as `docker stop` asks for it. */
export const sleeps = "trap 'exit 0' TERM; sleep 1000 & wait";

/** Makes the tests' image, `busybox` with a wasm module in it, without a registry. */
export async function importBusybox(docker: Docker): Promise<void> {
  const module = { path: "hello-wasm.wasm", content: await buildModule(), mode: 0o755 };
  using scratch = mkdtempDisposableSync("/tmp/tdk-");
  const archive = join(scratch.path, "busybox.tar");
  writeFileSync(archive, (await busyboxLayer([module])).data);
  await docker.ok(["import", archive, "busybox"]);
}

export const lines = (text: string): string[] => text.trimEnd().split(/\r?\n/);

/** Tests with a Docker Engine of their own. Where there is none they are skipped and say why. */
export class DockerSuite {
  readonly #suite: Test;
  readonly #reason = whyNoDocker(thorough);
  #docker: Docker | undefined;

  constructor(subject: string) {
    this.#suite = suite(`Docker Engine ${thorough}: ${subject}`);
    if (this.#reason !== undefined) return;
    this.#suite.before(async () => {
      // Without Docker's own bridge a container starts sooner; the tests of networks make theirs.
      this.#docker = await Docker.start(thorough, { ...config, bridge: "none" });
      await importBusybox(this.#docker);
    });
    this.#suite.after(() => this.#docker?.[Symbol.asyncDispose]());
  }

  get #running(): Docker {
    if (this.#docker === undefined) throw new Error("only a test has a Docker Engine");
    return this.#docker;
  }

  readonly test = (name: string, body: (docker: Docker) => Promise<void>): void => {
    if (this.#reason === undefined) this.#suite(name, () => body(this.#running));
    else this.#suite.skip(`${name} (${this.#reason})`);
  };

  /** Runs the tests, and one more after them all. */
  run(): void {
    this.test("nothing is left when the containers are removed", async (docker) => {
      await docker.ok(["run", "--detach", "busybox", "sleep", "1000"]);
      await docker.assertClean();
    });
    this.#suite.run();
  }

  /** `docker run --rm` of a shell script in the tests' image. */
  readonly shell = (script: string, ...options: readonly string[]): Promise<Finished> =>
    this.#running.docker(["run", "--rm", ...options, "busybox", "sh", "-c", script]);

  readonly logs = (name: string): Promise<string> => this.#running.ok(["logs", name]);

  /** A container in the background that is removed when the test ends. */
  readonly background = async (
    name: string,
    script: string,
    ...options: readonly string[]
  ): Promise<AsyncDisposable & { readonly id: string }> => {
    const words = ["run", "--detach", "--name", name, ...options, "busybox", "sh", "-c", script];
    const id = await this.#running.ok(words);
    return {
      id,
      [Symbol.asyncDispose]: async () => {
        await this.#running.ok(["rm", "--force", "--volumes", name]);
      },
    };
  };
}
