import { chmodSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ociBinary = join(dirname(fileURLToPath(import.meta.url)), "../../dist/bin/tandem-oci");

/** A zygote, and the OCI server that it forked. */
export interface Servers {
  readonly zygote: number;
  readonly server: number | undefined;
}

/** Run and state directory of one test's `tandem-oci`, and what serves it. */
export class Household {
  readonly runDirectory: string;
  readonly #directory: string;

  /** @param directory the test's own, with a short path: that of a socket is below it */
  constructor(directory: string) {
    this.#directory = directory;
    this.runDirectory = join(directory, "run");
  }

  get environment(): Record<string, string> {
    return { TANDEM_RUN_DIR: this.runDirectory, TANDEM_STATE_DIR: join(this.#directory, "state") };
  }

  /** `tandem-oci` in this environment, for engines that execute it in one of theirs. */
  program(): string {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const path = join(this.#directory, "tandem-oci");
    const variables = Object.entries(this.environment).map(([name, value]) => `${name}=${value}`);
    writeFileSync(path, `#!/bin/sh\nexec /usr/bin/env ${variables.join(" ")} ${ociBinary} "$@"\n`);
    chmodSync(path, 0o755);
    return path;
  }

  /** One pair for each mount namespace, and each set of capabilities, that was called from. */
  servers(): Servers[] {
    return globSync(join(this.runDirectory, "z/*/zygote.pid")).map((file) => {
      const zygote = Number(read(file));
      const children = read(`/proc/${zygote}/task/${zygote}/children`).trim().split(" ").map(Number);
      const server = children.find((pid) => pid > 0 && read(`/proc/${pid}/comm`).trim() === "tandem-server");
      return { zygote, server };
    });
  }

  end(): void {
    for (const { server, zygote } of this.servers())
      for (const pid of [server, zygote]) if (pid !== undefined && pid > 0) end(pid);
  }
}

/** One that is no longer needed ends by itself. */
function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** "" for what has gone meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return "";
    throw error;
  }
}
