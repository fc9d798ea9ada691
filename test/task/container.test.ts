/** What a container's life does when a part of it fails; its normal course is test/integration/lifecycle's. */
import { existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { defaultRuntimeOptions } from "../../src/bundle/runtime-options.ts";
import { parseSpec } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";
import type { ExecutorProcess, ExitStatus } from "../../src/executor/executor.ts";
import type { Cgroup } from "../../src/isolation/cgroup.ts";
import { createLog } from "../../src/log.ts";
import type { Container } from "../../src/task/container.ts";
import {
  type ContainerDependencies,
  type CreateOptions,
  createContainer,
} from "../../src/task/create-container.ts";

const spec = parseSpec(
  JSON.stringify({ ociVersion: "1.2.0", root: { path: "rootfs" }, process: { cwd: "/", args: ["a"] } }),
);

/** A process that ends when it is killed, and not before. */
class FakeProcess implements ExecutorProcess {
  readonly pid = process.pid;
  readonly console: number | undefined;
  readonly exited: Promise<ExitStatus>;
  readonly signals: number[] = [];
  end: (exit: ExitStatus) => void;

  constructor(console: number | undefined) {
    this.console = console;
    ({ promise: this.exited, resolve: this.end } = Promise.withResolvers<ExitStatus>());
  }

  async start(): Promise<void> {}

  kill(signal: number): void {
    this.signals.push(signal);
    this.end({ status: 128 + signal, exitedAt: new Date() });
  }
}

interface Failures {
  remove?: () => void;
  pids?: () => number[];
}

function fakeCgroup(failures: Failures, calls: string[]): Cgroup {
  return {
    dirs: [],
    unit: undefined,
    settle: () => undefined,
    procPaths: () => [],
    entrance: () => ({ taskFiles: [], unified: undefined, unifiedLimits: false }),
    add: () => undefined,
    pids: () => failures.pids?.() ?? [],
    freeze: () => undefined,
    thaw: () => undefined,
    isFrozen: () => false,
    kill: () => undefined,
    update: () => undefined,
    stats: () => {
      throw new TandemError("not_found", "no stats");
    },
    usage: () => ({}),
    oomKills: () => 0,
    watchOom: () => () => undefined,
    remove: () => {
      calls.push("remove cgroup");
      failures.remove?.();
    },
  };
}

interface Scene {
  readonly bundle: string;
  readonly process: FakeProcess;
  /** What was done, and what was published, in order. */
  readonly calls: string[];
  create(stdio?: Partial<CreateOptions["stdio"]>): Promise<Container>;
}

const bundles: string[] = [];

function sceneWith(failures: Failures, console?: number): Scene {
  const bundle = mkdtempSync(join(tmpdir(), "tandem-container-"));
  bundles.push(bundle);
  const process = new FakeProcess(console);
  const calls: string[] = [];
  const { log } = createLog();
  log.level = "silent";
  const dependencies: ContainerDependencies = {
    events: { publish: ({ topic }) => calls.push(topic) },
    log,
    socketPath: "/run/socket",
    loadSpec: () => spec,
    openCgroup: () => fakeCgroup(failures, calls),
    select: async () => ({ kind: "linux", reason: "a test" }),
    createContainer: async () => ({
      init: process,
      exec: async () => process,
      checkpoint: async () => undefined,
      release: async () => {
        calls.push("release");
      },
    }),
  };
  const options = { id: "c", namespace: "n", bundle, rootfs: [], checkpoint: "" };
  return {
    bundle,
    process,
    calls,
    create: (stdio) =>
      createContainer(
        {
          ...options,
          stdio: { stdin: "", stdout: "", stderr: "", terminal: false, ...stdio },
          options: defaultRuntimeOptions,
        },
        dependencies,
      ),
  };
}

async function messageOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "";
}

const container = suite("container");

container.after(() => {
  for (const bundle of bundles) rmSync(bundle, { recursive: true, force: true });
});

container("a terminal that cannot be opened leaves no process behind", async () => {
  const scene = sceneWith({}, openSync("/dev/null", "r"));
  const message = await messageOf(scene.create({ terminal: true, stdout: join(scene.bundle, "absent") }));
  assert.match(message, /terminal: ENOENT.*absent/);
  assert.equal(scene.process.signals, [9]);
  assert.equal(scene.calls, ["release", "remove cgroup"]);
  assert.not(existsSync(join(scene.bundle, "tandem.state")));
});

container("a failed Create tells its cause, not what went wrong in cleaning up after it", async () => {
  const busy = () => {
    throw new TandemError("failed_precondition", "cgroup: in use");
  };
  const scene = sceneWith({ remove: busy }, openSync("/dev/null", "r"));
  const message = await messageOf(scene.create({ terminal: true, stdout: join(scene.bundle, "absent") }));
  assert.match(message, /terminal: ENOENT/);
  assert.ok(existsSync(join(scene.bundle, "tandem.state")), "the launcher's delete still has what it needs");
});

container("a Delete that failed can be asked for again", async () => {
  let isBusy = true;
  const remove = () => {
    if (isBusy) throw new TandemError("failed_precondition", "cgroup: in use");
  };
  const scene = sceneWith({ remove });
  const created = await scene.create();
  assert.match(await messageOf(created.delete("")), /in use/);
  isBusy = false;
  assert.is((await created.delete("")).exit.status, 137);
});

container("init's end is told even if nobody knows what else is left", async () => {
  const pids = () => {
    throw new TandemError("internal", "cgroup: unreadable");
  };
  const scene = sceneWith({ pids });
  const created = await scene.create();
  await created.start("");
  scene.process.end({ status: 3, exitedAt: new Date() });
  assert.is((await created.init.wait()).status, 3);
  assert.equal(scene.calls.slice(0, 3), ["/tasks/create", "/tasks/start", "/tasks/exit"]);
});

container.run();
