/** Optimised code of modules: made after a first start, used by the next one, and never when it is not what was made. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeLayoutTar } from "oras-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { build as buildArtifact, buildModule } from "../../examples/hello-wasm/build.ts";
import { type Finished, run, runOk } from "../../scripts/private-containerd/command.ts";
import { availableGenerations } from "../../scripts/private-containerd/containerd.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { sha256 } from "../../src/code/code-entry.ts";
import { WHOLE_MODULE_BYTES } from "../../src/code/policy.ts";
import { SIGKILL } from "../../src/signals.ts";
import { call, loop, makeModule, nop } from "../code/modules.ts";
import { tandemWasm } from "./lifecycle/runtimes.ts";
import { Scene } from "./lifecycle/scene.ts";

const tandem = fileURLToPath(new URL("../../dist/bin/tandem", import.meta.url));

interface Listed {
  readonly kind: string;
  readonly name: string;
  readonly uses: number;
  readonly optimised: number;
  readonly functions: number;
}

/** A Tandem of one's own: its zygote ends with it. */
class Household implements Disposable {
  readonly directory = mkdtempSync("/tmp/tk-");
  readonly environment = {
    TANDEM_RUN_DIR: join(this.directory, "run"),
    TANDEM_STATE_DIR: join(this.directory, "state"),
  };

  run(file: string, ...args: string[]): Promise<Finished> {
    return run(tandem, ["run", file, ...args], { environment: this.environment });
  }

  cache(...args: string[]): Promise<Finished> {
    return run(tandem, ["cache", ...args], { environment: this.environment });
  }

  async code(): Promise<Listed[]> {
    const listed = JSON.parse((await this.cache("ls", "--json")).stdout) as Listed[];
    return listed.filter(({ kind }) => kind === "code");
  }

  /** The entry of a module, once it is there. */
  codeOf(bytes: Uint8Array): Promise<Listed> {
    const name = `sha256:${sha256(bytes)}`;
    return waitFor(
      async () => (await this.code()).find((entry) => entry.name === name),
      120_000,
      `code of ${name}`,
    );
  }

  /** Where the entry of a module is. */
  async pathOf(bytes: Uint8Array): Promise<string> {
    const store = join(this.environment.TANDEM_STATE_DIR, "code");
    const found = await runOk("find", [store, "-name", sha256(bytes)]);
    return found.trim();
  }

  [Symbol.dispose](): void {
    const zygotes = join(this.environment.TANDEM_RUN_DIR, "z");
    for (const zygote of existsSync(zygotes) ? readdirSync(zygotes) : []) {
      const pid = Number(readFileSync(join(zygotes, zygote, "zygote.pid"), "latin1"));
      process.kill(pid, SIGKILL);
    }
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

const command = suite<{ household: Household }>("code cache of tandem run");
command.before.each((context) => {
  context.household = new Household();
});
command.after.each(({ household }) => household[Symbol.dispose]());

command("a first run leaves code of the whole module, the next one uses it", async ({ household }) => {
  const bytes = await buildModule();
  const file = join(household.directory, "hello.wasm");
  writeFileSync(file, bytes);
  assert.is((await household.run(file, "exit", "3")).status, 3);
  const { uses, optimised, functions } = await household.codeOf(bytes);
  assert.is(uses, 0);
  assert.is(optimised, functions);
  // By bytes, not by name.
  const other = join(household.directory, "other.wasm");
  writeFileSync(other, bytes);
  const { status, stdout, stderr } = await household.run(other, "one");
  assert.equal([status, stderr], [0, ""]);
  assert.match(stdout, /arg one/);
  assert.is((await household.codeOf(bytes)).uses, 1);
});

command("damaged code is not run: it is said, dropped, and made anew", async ({ household }) => {
  const bytes = await buildModule();
  const file = join(household.directory, "hello.wasm");
  writeFileSync(file, bytes);
  await household.run(file);
  await household.codeOf(bytes);
  const path = await household.pathOf(bytes);
  const whole = readFileSync(path);
  const damages: readonly (readonly [RegExp, () => void])[] = [
    [/it has \d+ bytes of \d+/, () => truncateSync(path, whole.length - 4096)],
    [/its sha256 is not what was written/, () => writeFileSync(path, flip(whole, whole.length - 1000))],
    [/does not begin like one/, () => writeFileSync(path, Buffer.alloc(whole.length))],
  ];
  for (const [reason, damage] of damages) {
    damage();
    const { status, stdout, stderr } = await household.run(file, "one");
    assert.is(status, 0, stderr);
    assert.match(stdout, /arg one/);
    assert.match(stderr, reason);
    await waitFor(() => readFileSync(path).length === whole.length, 120_000, "code made anew");
    await waitFor(async () => (await household.cache("verify")).status === 0, 120_000, "good code");
  }
  const log = await runOk("sh", ["-c", `cat ${household.environment.TANDEM_RUN_DIR}/z/*/zygote.log`]);
  assert.is(log.match(/dropped/g)?.length, damages.length);
});

function flip(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

command("another module's code under this one's name is not run", async ({ household }) => {
  const [mine, theirs] = ["mine", "theirs"].map((mark) =>
    makeModule({ functions: [{ body: loop(...nop), exported: "_start" }], mark }),
  ) as [Uint8Array, Uint8Array];
  for (const [name, bytes] of Object.entries({ mine, theirs })) {
    writeFileSync(join(household.directory, name), bytes);
    await household.run(join(household.directory, name));
    await household.codeOf(bytes);
  }
  writeFileSync(await household.pathOf(mine), readFileSync(await household.pathOf(theirs)));
  const { status, stderr } = await household.run(join(household.directory, "mine"));
  assert.is(status, 0);
  assert.match(stderr, new RegExp(`it is of module ${sha256(theirs)}`));
});

command("of a large module only what its first run has called is optimised", async ({ household }) => {
  const filler = { body: Array<number>(60_000).fill(1) };
  const count = Math.ceil(WHOLE_MODULE_BYTES / 60_000) + 1;
  const functions = [
    { body: call(1), exported: "_start" },
    { body: loop(...nop) },
    ...Array(count).fill(filler),
  ];
  const bytes = makeModule({ functions });
  const file = join(household.directory, "large.wasm");
  writeFileSync(file, bytes);
  assert.is((await household.run(file)).status, 0);
  const { optimised, functions: all } = await household.codeOf(bytes);
  assert.equal([optimised, all], [2, count + 2]);
  assert.is((await household.run(file)).status, 0);
  assert.is((await household.codeOf(bytes)).uses, 1);
});

command("what is no module leaves no code, and says what it is as ever", async ({ household }) => {
  const bytes = makeModule({ functions: [{ body: [0x41, 0], exported: "_start" }] });
  const file = join(household.directory, "invalid.wasm");
  writeFileSync(file, bytes);
  const { status, stderr } = await household.run(file);
  assert.is.not(status, 0);
  assert.match(stderr, /module is invalid/);
  assert.equal(await household.code(), []);
});

command("cache verify finds what was changed, prune --all leaves nothing", async ({ household }) => {
  const bytes = await buildModule();
  const file = join(household.directory, "hello.wasm");
  writeFileSync(file, bytes);
  await household.run(file);
  await household.codeOf(bytes);
  assert.match((await household.cache("verify")).stdout, /1 entries, 0 damaged/);
  assert.match((await household.cache("ls")).stdout, /code +sha256:[0-9a-f]{12} +\d+ kB/);
  const path = await household.pathOf(bytes);
  writeFileSync(path, flip(readFileSync(path), 4000));
  const { status, stdout } = await household.cache("verify");
  assert.is(status, 1);
  assert.match(stdout, /dropped: .*its sha256 is not what was written\n1 entries, 1 damaged/);
  assert.equal(await household.code(), []);
  await household.run(file);
  await household.codeOf(bytes);
  assert.match((await household.cache("prune")).stdout, /^0 entries dropped/);
  assert.match((await household.cache("prune", "--all")).stdout, /^1 entries dropped/);
  assert.equal(await household.code(), []);
});

command.run();

const containers = suite("code cache of containers");

containers("a tar layer, a wasm layer and tandem run share the code of the same bytes", async () => {
  const generation = availableGenerations().at(-1);
  if (generation === undefined) throw new Error("no containerd is here: npm run setup");
  const args = ["/hello-wasm.wasm", "exit", "11"];
  const bytes = await buildModule();
  await using scene = await Scene.open({ generation });
  const { containerd } = scene;
  const archive = join(containerd.directory, "artifact.tar");
  await writeLayoutTar(archive, [{ ...(await buildArtifact()), name: "local.test/artifact:1" }]);
  await containerd.ctrOk(["images", "import", "--all-platforms", "--no-unpack", archive]);
  const { TANDEM_RUN_DIR = "", TANDEM_STATE_DIR = "" } = containerd.environment();
  const environment = { TANDEM_RUN_DIR, TANDEM_STATE_DIR };
  const entry = async (): Promise<Listed | undefined> =>
    (JSON.parse(await runOk(tandem, ["cache", "ls", "--json"], { environment })) as Listed[]).find(
      ({ kind, name }) => kind === "code" && name === `sha256:${sha256(bytes)}`,
    );
  const start = async (image: string, noRootfs: boolean): Promise<void> => {
    await using c = scene.container({ ...tandemWasm, image }, { args, noRootfs });
    await c.run();
    assert.is(await c.wait(), 11);
  };
  await start(tandemWasm.image, false);
  // The shim of that container is gone by now; its compiler is not.
  await waitFor(entry, 120_000, "code of the module in the tar layer");
  await start(tandemWasm.image, false);
  assert.is((await entry())?.uses, 1);
  await start("local.test/artifact:1", true);
  assert.is((await entry())?.uses, 2);
  const file = join(containerd.directory, "hello.wasm");
  writeFileSync(file, bytes);
  assert.is((await run(tandem, ["run", file, "exit", "11"], { environment })).status, 11);
  assert.is((await entry())?.uses, 3);
  await containerd.assertClean();
});

containers.run();
