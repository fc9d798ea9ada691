/** Limits of a grant, clocks that are made up and seeded random numbers: `tandem run`, `tandem serve` and containers of containerd. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildComponent } from "../../examples/http-function/build.ts";
import { type Finished, run } from "../../scripts/private-containerd/command.ts";
import { availableGenerations, startContainerd } from "../../scripts/private-containerd/containerd.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { exitStatuses } from "../../wasm-host/exit.ts";
import { Household } from "../support/household.ts";
import { tarLayer, writeImageArchive } from "../support/image.ts";
import { assemble } from "../wasm-host/guests/assemble.ts";
import { buildGuest } from "../wasm-host/guests/guest.ts";
import { buildThreadGuest } from "../wasm-host/threads/build-guest.ts";
import { compileC } from "../wasm-host/wasi/p1/compile-c.ts";
import { buildGuest as buildWaiter, type Runner, RunningGuest, tandem } from "./run-guest.ts";

const limits = suite("limits of tandem run");
const directory = mkdtempSync("/tmp/tr-limits-");
const place = mkdtempSync("/tmp/tl-");
const household = new Household(place);
const files = join(directory, "files");
const source = readFileSync(new URL("../wasm-host/guests/limits.c", import.meta.url), "utf8");

interface Guests {
  readonly module: string;
  readonly component02: string;
  readonly component03: string;
  readonly threads: string;
}

let guests: Guests;

limits.before(async () => {
  // The first one starts a zygote.
  await run(tandem, ["run", "--help"], { environment: household.environment, timeoutMs: 180_000 });
  mkdirSync(files);
  writeFileSync(join(files, "file"), "");
  guests = {
    module: compileC(source),
    component02: buildGuest("limits", directory),
    component03: buildGuest("command03", directory),
    threads: buildThreadGuest(),
  };
});
limits.after(() => {
  household.end();
  for (const path of [directory, place]) rmSync(path, { recursive: true, force: true });
});

function ran(...args: string[]): Promise<Finished> {
  return run(tandem, ["run", ...args], { environment: household.environment });
}

/** What a command line ends with that reaches a limit: its status, and its line. */
async function reaches(status: number, line: RegExp, ...args: string[]): Promise<Finished> {
  const finished = await ran(...args);
  assert.is(finished.status, status, `${args.join(" ")}: ${finished.stderr}`);
  assert.match(finished.stderr, line);
  return finished;
}

const kinds = ["module", "component02", "component03"] as const;

for (const kind of kinds) {
  limits(`${kind}: a guest that computes without end ends when its time is up`, async () => {
    const guest = guests[kind];
    await reaches(
      exitStatuses.timeLimit,
      /^tandem: limit reached: timeout: has run for 300 ms\n$/,
      ...["-W", "timeout=300ms", guest, "spin"],
    );
    await reaches(
      exitStatuses.processorLimit,
      /^tandem: limit reached: cpu-time: has used 300 ms of processor time\n$/,
      ...["--cpu-time", "300ms", guest, "spin"],
    );
  });

  limits(`${kind}: memory does not grow beyond what is granted`, async () => {
    const guest = guests[kind];
    const { status, stdout } = await ran("-W", "max-memory-size=4194304", guest, "grow");
    assert.equal([status, Number.parseInt(stdout, 10)], [0, 64]);
    await reaches(
      exitStatuses.memoryLimit,
      /^tandem run: limit reached: max-memory-size: it begins with \d+ bytes of memory, 65536 may be\n$/,
      ...["-W", "max-memory-size=65536", guest, "grow"],
    );
  });

  limits(`${kind}: who fails with its memory in use is told how much that was`, async () => {
    if (kind === "component03") return;
    const failing = async (how: string): Promise<[number, string]> => {
      const { status, stderr } = await ran("-W", "max-memory-size=4194304", guests[kind], "grow", how);
      return [status, stderr];
    };
    const line = "tandem: max-memory-size: it had 4194304 of 4194304 bytes of memory\n";
    assert.equal(await failing("3"), [3, line]);
    const [status, said] = await failing("1");
    assert.is(status, exitStatuses.trap);
    assert.match(said, new RegExp(`^trap: unreachable\n[^]*${line}$`));
  });

  limits(`${kind}: tables and instances are counted before it begins`, async () => {
    const guest = guests[kind];
    await reaches(
      exitStatuses.tableLimit,
      /limit reached: max-table-elements: it begins with \d+ elements of tables, 1 may be\n$/,
      ...["-W", "max-table-elements=1", guest, "hello"],
    );
    await reaches(
      exitStatuses.instanceLimit,
      /limit reached: max-instances: /,
      ...["-W", "max-instances=0", guest, "hello"],
    );
  });

  limits(`${kind}: files are counted while they are open`, async () => {
    const guest = guests[kind];
    const opening = (count: number): string[] => [
      ...["--max-open-files", "5", "--dir", `${files}::/`, guest, "open"],
      ...(kind === "component03" ? ["file", String(count)] : [String(count)]),
    ];
    assert.is((await ran(...opening(5))).stdout, "opened\n");
    const line = /^tandem: limit reached: max-open-files: more than 5 descriptors\n$/;
    assert.is((await reaches(exitStatuses.fileLimit, line, ...opening(6))).stdout, "");
    if (kind === "component03") return;
    const again = await ran("--max-open-files", "1", "--dir", `${files}::/`, guest, "open-and-close", "20");
    assert.is(again.stdout, "opened\n");
  });

  limits(`${kind}: two runs with the same seed and clock are the same, others are not`, async () => {
    const guest = guests[kind];
    const output = async (...options: string[]): Promise<string> => {
      const { status, stdout, stderr } = await ran(...options, guest, "deterministic");
      assert.equal([status, stderr], [0, ""]);
      return stdout;
    };
    const first = await output("--seed", "a", "--clock", "1700000000");
    assert.is(await output("--seed", "a", "--clock", "1700000000"), first);
    assert.match(first, "1700000000");
    assert.is.not(await output("--seed", "b", "--clock", "1700000000"), first);
    assert.is.not(await output("--seed", "a", "--clock", "1700000001"), first);
  });
}

for (const kind of ["module", "component02"] as const) {
  limits(`${kind}: stdout and stderr have one measure, and exactly that much comes out`, async () => {
    const guest = guests[kind];
    const whole = await ran("--max-output", "40", guest, "write", "4");
    assert.equal(
      [whole.status, whole.stdout, whole.stderr],
      [0, "01234567890123456789", "01234567890123456789"],
    );
    const { stdout, stderr } = await ran("--max-output", "25", guest, "write", "4");
    assert.is(stdout, "012345678901234");
    assert.is(
      stderr,
      "0123456789tandem: limit reached: max-output: more than 25 bytes to stdout and stderr\n",
    );
  });
}

limits("component03: what it hands over beyond its measure does not come out", async () => {
  const line = /^tandem: limit reached: max-output: more than 1000 bytes to stdout and stderr\n$/;
  const { stdout } = await reaches(
    exitStatuses.outputLimit,
    line,
    ...["--max-output", "1000", guests.component03, "much"],
  );
  assert.is(stdout.length, 1000);
});

limits("threads share what their guest may have", async () => {
  const { threads } = guests;
  // Main, three threads that sleep, and one that traps.
  await reaches(
    exitStatuses.instanceLimit,
    /^tandem: limit reached: max-instances: more than 4 instances of modules\n$/,
    ...["-W", "max-instances=4", threads, "trap"],
  );
  assert.is((await ran("-W", "max-instances=5", threads, "trap")).status, exitStatuses.trap);
  await reaches(
    exitStatuses.fileLimit,
    /^tandem: limit reached: max-open-files: more than 10 descriptors\n$/,
    ...["--max-open-files", "10", "--dir", `${files}::/`, threads, "open"],
  );
  await reaches(
    exitStatuses.timeLimit,
    /^tandem: limit reached: timeout: /,
    ...["-W", "timeout=300ms", threads, "sleep"],
  );
  // Shared memory: eight threads grow it by a page each.
  assert.is((await ran(threads, "grow")).stdout, "grown\n");
  assert.is((await ran("-W", "max-memory-size=1000000", threads, "grow")).status, 1);
  assert.match((await ran("--seed", "a", threads, "grow")).stderr, /are for guests with one thread/);
});

limits("processor time is the kernel's limit, too", async () => {
  const environment = Object.entries(household.environment).map(([name, value]) => `${name}=${value}`);
  const runner: Runner = {
    name: "root",
    uid: 0,
    command: (program) => ["env", ...environment, ...program],
  };
  const running = await RunningGuest.begin(runner, ["--cpu-time", "60", buildWaiter(), "wait"]);
  assert.match(readFileSync(`/proc/${running.guest}/limits`, "utf8"), /^Max cpu time +61 +61 +seconds/m);
  running.child.kill("SIGTERM");
  assert.is(await running.exited, 143);
});

limits("a limit is not reached by who keeps it, and --explain prints what there is", async () => {
  const options = [
    ...["-W", "max-memory-size=1000000000,max-table-elements=1000,max-instances=10,timeout=60"],
    ...["--cpu-time", "60", "--max-open-files", "10", "--max-output", "1000"],
  ];
  const finished = await ran(...options, "--dir", `${files}::/`, guests.module, "open", "2");
  assert.equal([finished.status, finished.stdout, finished.stderr], [0, "opened\n", ""]);
  const { stdout } = await ran(...options, "--explain", guests.module);
  for (const line of ["memoryBytes: 1000000000", "cpuMs: 60000", "outputBytes: 1000"])
    assert.match(stdout, line);
});

limits("what an export returns is output as any other", async () => {
  const path = join(directory, "answer.wasm");
  writeFileSync(path, assemble('(module (func (export "answer") (result i32) i32.const 200))'));
  assert.is((await ran("--max-output", "4", "--invoke", "answer", path)).stdout, "200\n");
  const line = /^tandem: limit reached: max-output: more than 1 bytes to stdout and stderr\n$/;
  const options = ["--max-output", "1", "--invoke", "answer", path];
  assert.is((await reaches(exitStatuses.outputLimit, line, ...options)).stdout, "2");
});

interface Server {
  readonly url: string;
  readonly exited: Promise<number | null>;
  said(): string;
  end(): void;
}

async function serve(...options: string[]): Promise<Server> {
  const component = join(directory, "function.wasm");
  if (!existsSync(component)) writeFileSync(component, await buildComponent());
  const child = spawn(tandem, ["serve", "--addr", "127.0.0.1:0", ...options, component], {
    env: { ...process.env, ...household.environment },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const line = (): RegExpExecArray | null => /^Serving HTTP on (http:\S+)\n/m.exec(said);
  const [, url = ""] = await waitFor(line, 120_000, "the server's line");
  return { url, exited, said: () => said, end: () => child.kill("SIGTERM") };
}

limits("a server ends when its time is up", async () => {
  const server = await serve("-W", "timeout=1s");
  assert.is(await server.exited, exitStatuses.timeLimit, server.said());
  assert.match(server.said(), /^tandem: limit reached: timeout: has run for 1000 ms$/m);
});

limits("a server answers no more requests at once than it has instances for", async () => {
  const server = await serve("-W", "max-instances=8");
  const answer = async (): Promise<string> => {
    const response = await fetch(server.url, { headers: { connection: "close" } });
    return await response.text();
  };
  for (const text of await Promise.all(Array.from({ length: 20 }, answer))) assert.match(text, "hello");
  server.end();
  assert.is(await server.exited, 0, server.said());
});

limits.run();

const containers = suite("limits of containers");

containers(
  "an annotation lowers what the runtime's options allow, and a limit ends the container",
  async () => {
    const generation = availableGenerations().at(-1);
    if (generation === undefined) throw new Error("no containerd is here: npm run setup");
    await using containerd = await startContainerd({ generation });
    const archive = join(containerd.directory, "limits.tar");
    await writeImageArchive(archive, {
      reference: "local.test/limits:1",
      layers: [await tarLayer([{ path: "limits.wasm", content: readFileSync(compileC(source)) }])],
      config: { architecture: "amd64", os: "linux", config: { Cmd: ["/limits.wasm"] } },
    });
    await containerd.importImage(archive);
    const toml = join(containerd.directory, "runtime.toml");
    writeFileSync(
      toml,
      "[wasm.defaults]\ntimeout = 60\nmax-output = 1000\n[wasm.allowed]\nmax-memory-size = 4194304\n",
    );
    let count = 0;
    const contained = (annotations: Readonly<Record<string, string>>, ...args: string[]): Promise<Finished> =>
      containerd.runContainer([
        ...["--rm", "--runtime", "io.containerd.tandem.v1", "--runtime-config-path", toml],
        ...Object.entries(annotations).flatMap(([name, value]) => [
          "--annotation",
          `tandem.dev/${name}=${value}`,
        ]),
        ...["local.test/limits:1", `limit-${count++}`, "/limits.wasm", ...args],
      ]);

    const output = await contained({}, "write", "300");
    assert.equal([output.status, output.stdout.length], [exitStatuses.outputLimit, 500], output.stderr);
    assert.match(output.stderr, /tandem: limit reached: max-output: more than 1000 bytes/);
    const time = await contained({ timeout: "500ms" }, "spin");
    assert.equal(
      [time.status, time.stderr],
      [exitStatuses.timeLimit, "tandem: limit reached: timeout: has run for 500 ms\n"],
    );
    const grown = await contained({ "max-memory-size": "4194304" }, "grow");
    assert.equal([grown.status, grown.stdout], [0, "64 pages\n"], grown.stderr);
    const more = await contained({ timeout: "61s" }, "spin");
    assert.is.not(more.status, 0);
    assert.match(
      more.stderr,
      /annotation tandem\.dev\/timeout: 61000 is more than the runtime's options allow/,
    );
    const small = await contained({ "max-memory-size": "65536" }, "grow");
    assert.is.not(small.status, 0);
    assert.match(
      small.stderr,
      /limit reached: max-memory-size: it begins with \d+ bytes of memory, 65536 may be/,
    );
    const options = { clock: "1700000000", seed: "a" };
    const first = await contained(options, "deterministic");
    assert.equal([first.status, first.stderr], [0, ""]);
    assert.is((await contained(options, "deterministic")).stdout, first.stdout);
    await containerd.assertClean();
  },
);

containers.run();
