/** Optimised code of modules: made after a first start, used by the next one, and never when it is not what was made. */
import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeLayoutTar } from "oras-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildComponent } from "../../examples/hello-component/build.ts";
import { build as buildArtifact, buildModule } from "../../examples/hello-wasm/build.ts";
import { type Finished, run, runOk } from "../../scripts/private-containerd/command.ts";
import { availableGenerations } from "../../scripts/private-containerd/containerd.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { checkedCode, sha256 } from "../../src/code/code-entry.ts";
import { WHOLE_MODULE_BYTES } from "../../src/code/policy.ts";
import { call, loop, makeModule, nop } from "../code/modules.ts";
import { Household } from "../support/household.ts";
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

/** `tandem run` with a run and a state directory of its own. */
class Place implements Disposable {
  readonly directory = mkdtempSync("/tmp/tk-");
  readonly #household = new Household(this.directory);
  readonly environment = this.#household.environment;
  readonly state = join(this.directory, "state");

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
  pathOf(bytes: Uint8Array): string {
    const [path, ...more] = globSync(join(this.state, "code/*", sha256(bytes)));
    if (path === undefined || more.length > 0) throw new Error("not one entry");
    return path;
  }

  /** Of the zygote and of what it has forked. */
  log(): string {
    return globSync(join(this.#household.runDirectory, "z/*/zygote.log"))
      .map((path) => readFileSync(path, "utf8"))
      .join("");
  }

  [Symbol.dispose](): void {
    this.#household.end();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

const command = suite<{ place: Place }>("code cache of tandem run");
command.before.each((context) => {
  context.place = new Place();
});
command.after.each(({ place }) => place[Symbol.dispose]());

command("a first run leaves code of the whole module, the next one uses it", async ({ place }) => {
  const bytes = await buildModule();
  const file = join(place.directory, "hello.wasm");
  writeFileSync(file, bytes);
  assert.is((await place.run(file, "exit", "3")).status, 3);
  const { uses, optimised, functions } = await place.codeOf(bytes);
  assert.is(uses, 0);
  assert.is(optimised, functions);
  // By bytes, not by name.
  const other = join(place.directory, "other.wasm");
  writeFileSync(other, bytes);
  const { status, stdout, stderr } = await place.run(other, "one");
  assert.equal([status, stderr], [0, ""]);
  assert.match(stdout, /arg one/);
  assert.is((await place.codeOf(bytes)).uses, 1);
});

command("damaged code is not run: it is said, dropped, and made anew", async ({ place }) => {
  const bytes = await buildModule();
  const file = join(place.directory, "hello.wasm");
  writeFileSync(file, bytes);
  await place.run(file);
  await place.codeOf(bytes);
  const path = place.pathOf(bytes);
  const whole = readFileSync(path);
  const damages: readonly (readonly [RegExp, () => void])[] = [
    [/it has \d+ bytes of \d+/, () => truncateSync(path, whole.length - 4096)],
    [/its sha256 is not what was written/, () => writeFileSync(path, flip(whole, whole.length - 1000))],
    [/does not begin like one/, () => writeFileSync(path, Buffer.alloc(whole.length))],
  ];
  for (const [reason, damage] of damages) {
    damage();
    const { status, stdout, stderr } = await place.run(file, "one");
    assert.equal([status, stderr], [0, ""]);
    assert.match(stdout, /arg one/);
    await waitFor(() => reason.test(place.log()), 10_000, `${reason} in the log`);
    const wanted = { engine: basename(dirname(path)), module: sha256(bytes) };
    await waitFor(() => checkedCode(readFileSync(path), wanted).length > 0, 120_000, "code made anew");
  }
  assert.is(place.log().match(/dropped/g)?.length, damages.length);
});

function flip(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

command(
  "a component's damaged core module is not run: it is dropped, and made anew for the same start",
  async ({ place }) => {
    const file = join(place.directory, "hello.wasm");
    writeFileSync(file, await buildComponent());
    const first = await place.run(file, "one");
    assert.equal([first.status, first.stderr], [0, ""]);
    const [path = "", ...more] = globSync(join(place.state, "components/*/component.core.wasm"));
    assert.equal(more, []);
    const whole = readFileSync(path);
    const offsets = { "no module": 60, "another string": whole.indexOf("arg ") };
    assert.ok(offsets["another string"] > 0);
    for (const offset of Object.values(offsets)) {
      writeFileSync(path, flip(whole, offset));
      const { status, stdout, stderr } = await place.run(file, "one");
      assert.equal([status, stdout, stderr], [0, first.stdout, ""]);
      assert.equal(readFileSync(path), whole);
    }
  },
);

command("another module's code under this one's name is not run", async ({ place }) => {
  const [mine, theirs] = ["mine", "theirs"].map((mark) =>
    makeModule({ functions: [{ body: loop(...nop), exported: "_start" }], mark }),
  ) as [Uint8Array, Uint8Array];
  for (const [name, bytes] of Object.entries({ mine, theirs })) {
    writeFileSync(join(place.directory, name), bytes);
    await place.run(join(place.directory, name));
    await place.codeOf(bytes);
  }
  writeFileSync(place.pathOf(mine), readFileSync(place.pathOf(theirs)));
  const { status, stderr } = await place.run(join(place.directory, "mine"));
  assert.equal([status, stderr], [0, ""]);
  const reason = `it is of module ${sha256(theirs)}`;
  await waitFor(() => place.log().includes(reason), 10_000, `${reason} in the log`);
});

command("of a large module only what its first run has called is optimised", async ({ place }) => {
  const filler = { body: Array<number>(60_000).fill(1) };
  const count = Math.ceil(WHOLE_MODULE_BYTES / 60_000) + 1;
  const functions = [
    { body: call(1), exported: "_start" },
    { body: loop(...nop) },
    ...Array(count).fill(filler),
  ];
  const bytes = makeModule({ functions });
  const file = join(place.directory, "large.wasm");
  writeFileSync(file, bytes);
  assert.is((await place.run(file)).status, 0);
  const { optimised, functions: all } = await place.codeOf(bytes);
  assert.equal([optimised, all], [2, count + 2]);
  assert.is((await place.run(file)).status, 0);
  assert.is((await place.codeOf(bytes)).uses, 1);
});

command("what is no module leaves no code, and says what it is as ever", async ({ place }) => {
  const bytes = makeModule({ functions: [{ body: [0x41, 0], exported: "_start" }] });
  const file = join(place.directory, "invalid.wasm");
  writeFileSync(file, bytes);
  const { status, stderr } = await place.run(file);
  assert.is.not(status, 0);
  assert.match(stderr, /module is invalid/);
  assert.equal(await place.code(), []);
});

command("cache add optimises all of a module ahead of its first run", async ({ place }) => {
  const bytes = await buildModule();
  const file = join(place.directory, "hello.wasm");
  writeFileSync(file, bytes);
  const added = await place.cache("add", file);
  assert.is(added.status, 0, added.stderr);
  assert.match(added.stdout, new RegExp(`^sha256:${sha256(bytes)}: (\\d+) of \\1 functions\n$`));
  assert.is((await place.run(file, "exit", "3")).status, 3);
  assert.is((await place.codeOf(bytes)).uses, 1);
  const missing = await place.cache("add", join(place.directory, "nothing"));
  assert.is(missing.status, 1);
  assert.match(missing.stderr, /^tandem: .*nothing/);
});

command("cache verify finds what was changed, prune --all leaves nothing", async ({ place }) => {
  const bytes = await buildModule();
  const file = join(place.directory, "hello.wasm");
  writeFileSync(file, bytes);
  await place.run(file);
  await place.codeOf(bytes);
  assert.match((await place.cache("verify")).stdout, /1 entries, 0 damaged/);
  assert.match((await place.cache("ls")).stdout, /code +sha256:[0-9a-f]{12} +\d+ kB/);
  const path = place.pathOf(bytes);
  writeFileSync(path, flip(readFileSync(path), 4000));
  const { status, stdout } = await place.cache("verify");
  assert.is(status, 1);
  assert.match(stdout, /dropped: .*its sha256 is not what was written\n1 entries, 1 damaged/);
  assert.equal(await place.code(), []);
  await place.run(file);
  await place.codeOf(bytes);
  assert.match((await place.cache("prune")).stdout, /^0 entries dropped/);
  assert.match((await place.cache("prune", "--all")).stdout, /^1 entries dropped/);
  assert.equal(await place.code(), []);
});

command(
  "cache prune drops components of other builds, and what killed builds have left",
  async ({ place }) => {
    const file = join(place.directory, "hello.wasm");
    writeFileSync(file, await buildComponent());
    assert.is((await place.run(file)).status, 0);
    const components = join(place.state, "components");
    const [own = ""] = readdirSync(components);
    const foreign = [`${"0".repeat(16)}-${"1".repeat(64)}`, "2".repeat(64)];
    for (const name of foreign) cpSync(join(components, own), join(components, name), { recursive: true });
    mkdirSync(join(components, `${own}.tmp-dead`));
    writeFileSync(join(components, `${own}.lock`), "");
    const { dropped } = JSON.parse((await place.cache("prune", "--json")).stdout) as { dropped: Listed[] };
    const names = dropped.filter(({ kind }) => kind === "component").map(({ name }) => name);
    assert.equal(names.sort(), foreign);
    assert.equal(readdirSync(components), [own]);
  },
);

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
