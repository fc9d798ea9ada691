/**
 * The main job, `npm start`: a node of its own with the shim registered, and real images through it: WebAssembly and Linux
 * containers side by side, also in one pod. It ends with a table, and with nothing left.
 *
 *     node scripts/start.ts [--containerd 2.1] [--json] [--keep]
 */
import { mkdirSync, statfsSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Listr, type ListrTask } from "listr2";
import type { BuiltImage } from "../examples/built-image.ts";
import type { Generation } from "./private-containerd/containerd.ts";
import { buildImage, type ImageName, imageNames } from "./start/images.ts";
import { inOwnNetwork, type PodNetwork, prepareNetwork } from "./start/network.ts";
import { type Closing, Node } from "./start/node.ts";
import { registryAddress } from "./start/registry.ts";
import { type Report, type ReportedContainer, renderTable, toReported } from "./start/report.ts";
import { missingPrivileges, missingPrograms, toGeneration } from "./start/requirements.ts";
import { root, tandemPath } from "./start/root.ts";
import { type Outcome, workloads } from "./start/workloads.ts";

const usage = "usage: npm start -- [--containerd 2.1|2.4] [--json] [--keep]";

const options = {
  containerd: { type: "string", default: "2.1" },
  json: { type: "boolean", default: false },
  keep: { type: "boolean", default: false },
  "in-network": { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

interface Settings {
  readonly generation: Generation;
  readonly json: boolean;
  readonly keep: boolean;
}

/** containerd's log, and the shims' in it, of the last run: all that stays of its directory. */
const keptLog = join(root, ".cache/start/containerd.log");

/** What one step hands to the next. */
interface Progress {
  readonly images: Map<ImageName, BuiltImage>;
  readonly outcomes: (() => Promise<Outcome>)[];
  node?: Node;
  report?: Report;
}

interface Step {
  readonly title: string;
  /** Returns what its title ends with when it is done. */
  run(progress: Progress, show: (text: string) => void): Promise<string | undefined>;
}

/** Aborted by Ctrl-C: the step under way is the last one, then everything is ended that was started. */
const interruption = new AbortController();

function isInteractive(): boolean {
  return process.stdout.isTTY === true && process.env["CI"] === undefined;
}

/** With --json stdout is the report's alone. */
function say(text: string, { json }: Settings): void {
  (json ? process.stderr : process.stdout).write(`${text}\n`);
}

/** Shows the steps as a list that fills itself, or a line each where nobody looks. */
async function runSteps(steps: readonly Step[], progress: Progress, settings: Settings): Promise<void> {
  const renderer = settings.json ? "silent" : isInteractive() ? "default" : "simple";
  const tasks = steps.map(
    (step): ListrTask<Progress> => ({
      title: step.title,
      async task(_context, task) {
        interruption.signal.throwIfAborted();
        const show = (text: string): void => {
          // A list that fills itself has a line for it; a log would have hundreds.
          if (renderer === "default") task.output = text;
        };
        const done = await step.run(progress, show);
        if (done !== undefined) task.title = `${step.title}: ${done}`;
      },
    }),
  );
  // Signals are ours: listr2 would leave at once.
  await new Listr<Progress, typeof renderer, typeof renderer>(tasks, {
    renderer,
    registerSignalListeners: false,
  }).run();
}

function nodeOf({ node }: Progress): Node {
  if (node === undefined) throw new Error("containerd has not been started");
  return node;
}

function preparation(generation: Generation, network: PodNetwork): Step[] {
  return [
    {
      title: "start containerd and a registry",
      async run(progress) {
        progress.node = await Node.open(generation, network);
        return `${progress.node.version}, ${registryAddress}`;
      },
    },
    {
      title: "push the images, pull them with containerd",
      async run(progress, show) {
        for (const [name, image] of progress.images)
          await nodeOf(progress).publish(name, image, (text) => show(`${name}: ${text}`));
        return `${progress.images.size} images`;
      },
    },
    {
      title: "warm the zygote",
      async run(progress) {
        await nodeOf(progress).warm();
        return undefined;
      },
    },
  ];
}

const build: Step = {
  title: "build the examples",
  async run({ images }, show) {
    for (const name of imageNames) {
      show(name);
      images.set(name, await buildImage(name));
      interruption.signal.throwIfAborted();
    }
    return [...images.keys()].join(", ");
  },
};

const runs: readonly Step[] = workloads.map((workload) => ({
  title: workload.title,
  async run(progress) {
    const started = await workload.run(nodeOf(progress));
    progress.outcomes.push(...started);
    return undefined;
  },
}));

const wait: Step = {
  title: "wait for those that end",
  async run(progress) {
    const { version, network, containerd } = nodeOf(progress);
    const containers: ReportedContainer[] = [];
    // The last first: a server's log is read when its clients are done.
    for (const outcome of progress.outcomes.toReversed()) containers.unshift(toReported(await outcome()));
    progress.report = { containerd: version, network, directory: containerd.directory, containers };
    return undefined;
  },
};

/** Ends everything, and says how that went. */
async function cleanUp({ node }: Progress, settings: Settings): Promise<Closing> {
  if (node === undefined) return { problems: [], left: [] };
  mkdirSync(dirname(keptLog), { recursive: true });
  writeFileSync(keptLog, node.containerd.logs());
  const closing = await node.close();
  const { problems, left } = closing;
  if (problems.length > 0) say(`ended by force:\n  ${problems.join("\n  ")}`, settings);
  say(
    left.length > 0
      ? `left behind:\n  ${left.join("\n  ")}`
      : "nothing is left: no process, mount, cgroup, socket or file of this run",
    settings,
  );
  return closing;
}

function explainKeeping(node: Node, report: Report | undefined): string {
  const url = report?.containers.find((container) => container.url !== undefined)?.url;
  const { directory, address, runDirectory } = node.containerd;
  return [
    "",
    "It runs on until Ctrl-C. From another terminal, as root:",
    `  export CONTAINERD_ADDRESS=${address} CONTAINERD_NAMESPACE=k8s.io TANDEM_RUN_DIR=${runDirectory}`,
    `  ${node.containerd.ctrPath} tasks list`,
    `  ${tandemPath} ps`,
    `  nsenter --net=/proc/${process.pid}/ns/net busybox wget -q -O - ${url}`,
    `  less ${directory}/log`,
  ].join("\n");
}

async function keepRunning(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setInterval(() => undefined, 60_000);
  if (interruption.signal.aborted) resolve();
  interruption.signal.addEventListener("abort", () => resolve());
  await promise;
  clearInterval(timer);
}

/** What can be done without containers. */
async function onlyBuild(missing: readonly string[], settings: Settings): Promise<number> {
  say(
    `missing: ${missing.join("; ")}. Containers cannot be run, the examples are built all the same.`,
    settings,
  );
  await runSteps([build], { images: new Map(), outcomes: [] }, settings);
  say(
    "to have them as files for `ctr images import`: node_modules/.bin/node examples/build.ts --out DIRECTORY",
    settings,
  );
  return 1;
}

async function main(settings: Settings): Promise<number> {
  const progress: Progress = { images: new Map(), outcomes: [] };
  const network = prepareNetwork();
  if (network === "host")
    say("no bridge or veth can be made here: the pods share one loopback instead", settings);
  let closing: Closing = { problems: [], left: [] };
  try {
    await runSteps([build, ...preparation(settings.generation, network), ...runs, wait], progress, settings);
    const { node, report } = progress;
    if (report !== undefined && !settings.json) {
      const { isTTY, columns } = process.stdout;
      process.stdout.write(
        `\n${renderTable(report, { colour: isTTY === true, columns: columns ?? 120 })}\n\n`,
      );
    }
    if (node !== undefined && settings.keep) {
      say(explainKeeping(node, report), settings);
      await keepRunning();
    }
  } catch (error) {
    throw nameFullDisk(error, progress);
  } finally {
    closing = await cleanUp(progress, settings);
  }
  if (settings.json)
    process.stdout.write(`${JSON.stringify({ ...progress.report, ...closing }, undefined, 2)}\n`);
  return closing.left.length + closing.problems.length === 0 ? 0 : 1;
}

const LITTLE_SPACE_MB = 64;

/** A full disk shows itself as whatever failed first: a server's "unknown error", a file that ends too early. */
function nameFullDisk(error: unknown, { node }: Progress): unknown {
  const { bavail, bsize } = statfsSync(node?.containerd.directory ?? "/tmp");
  const free = Math.floor((bavail * bsize) / 2 ** 20);
  if (free >= LITTLE_SPACE_MB) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new Error(`${text} (/tmp has ${free} MB left)`, { cause: error });
}

/** What went wrong, and where to look next. */
function explain(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (interruption.signal.aborted) return "npm start: interrupted";
  // Nothing was started, so nothing has a log.
  if (missingPrivileges().length > 0) return `npm start: ${text}`;
  return [
    `npm start: ${text}`,
    `  containerd's log: ${relative(process.cwd(), keptLog)}; set-up's: .cache/setup/*.log`,
    "  again, and left running to be looked at: npm start -- --keep",
  ].join("\n");
}

async function start(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options });
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const generation = toGeneration(values.containerd);
  const settings = { generation, json: values.json, keep: values.keep };
  const missing = [...missingPrivileges(), ...missingPrograms(generation)];
  if (missing.length > 0) return await onlyBuild(missing, settings);
  if (!values["in-network"]) return await inOwnNetwork(fileURLToPath(import.meta.url), args);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (!interruption.signal.aborted) say("\ninterrupted; ending what was started", settings);
      interruption.abort(new Error("interrupted"));
    });
  }
  return await main(settings);
}

try {
  process.exitCode = await start(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = interruption.signal.aborted ? 130 : 1;
}
