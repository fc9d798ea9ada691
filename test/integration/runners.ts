import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Household } from "../support/household.ts";
import { RootlessUser } from "./rootless-user.ts";
import { buildGuest, type Runner, RunningGuest } from "./run-guest.ts";

/** Root and, where the machine can have one, a user, each with a `tandem` of their own, and a guest that both can read. */
export class Runners {
  /** Anybody may write here. */
  readonly directory = mkdtempSync("/tmp/tr-run-");
  readonly guest = join(this.directory, "guest.wasm");
  readonly all: readonly Runner[];
  readonly #place = mkdtempSync("/tmp/th-");
  readonly #household = new Household(this.#place);
  readonly #user: RootlessUser | undefined;

  private constructor(user: RootlessUser | undefined) {
    this.#user = user;
    chmodSync(this.directory, 0o777);
    copyFileSync(buildGuest(), this.guest);
    chmodSync(this.guest, 0o644);
    const environment = Object.entries(this.#household.environment).map(
      ([name, value]) => `${name}=${value}`,
    );
    const root: Runner = {
      name: "root",
      uid: 0,
      command: (program) => ["env", "-i", "PATH=/usr/bin:/bin", ...environment, ...program],
    };
    this.all =
      user === undefined
        ? [root]
        : [root, { name: "a user", uid: user.uid, command: (program) => user.command(program) }];
  }

  static async create(): Promise<Runners> {
    return new Runners(RootlessUser.obstacle() === undefined ? await RootlessUser.create() : undefined);
  }

  /** Has a guest run that waits, with these options, for as long as `use` takes. */
  async withGuest(runner: Runner, options: readonly string[], use: (pid: number) => unknown): Promise<void> {
    const running = await RunningGuest.begin(runner, [...options, this.guest, "wait"]);
    try {
      await use(running.guest);
    } finally {
      running.child.kill("SIGKILL");
      await running.exited;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#household.end();
    await this.#user?.[Symbol.asyncDispose]();
    for (const path of [this.directory, this.#place]) rmSync(path, { recursive: true, force: true });
  }
}
