/** docs/conformance.md says what the code does: each row is looked up, and each "honoured" and "refused" is tried. */
import { existsSync, globSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { OptionsSchema as RuncOptionsSchema } from "../../src/api/gen/containerd/runc/v1/options_pb.ts";
import { Task } from "../../src/api/gen/containerd/task/v3/task_pb.ts";
import { OptionsSchema as TomlOptionsSchema } from "../../src/api/gen/runtimeoptions/v1/options_pb.ts";
import { parseRuntimeOptions } from "../../src/bundle/runtime-options.ts";
import { parseSpec } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";
import { createWasmExecutor } from "../../src/executor/wasm.ts";
import { noSettings } from "../../src/grant/pod-settings.ts";
import { features } from "../../src/isolation/features.ts";
import { generalFlags } from "../../src/oci/answer-call.ts";
import { commands } from "../../src/oci/commands.ts";
import type { Flags } from "../../src/oci/flags.ts";
import { wasiImports } from "../../wasm-host/wasi/p1/imports.ts";
import type { State } from "../../wasm-host/wasi/p1/state.ts";
import { createImports } from "../../wasm-host/wasi/p2/imports.ts";
import { createNativeFiles } from "../../wasm-host/wasi/p2/native-files.ts";
import { blocking } from "../../wasm-host/wasi/p2/waiting.ts";
import { createWasi03 } from "../../wasm-host/wasi/p3/imports.ts";
import { Outflow } from "../../wasm-host/wasi/p3/outflow.ts";
import { fullSpec, refusedValues } from "./full-spec.ts";
import { codesOf, expand, read, root, tableBelow } from "./markdown.ts";
import { linuxPicture, wasmPicture, wasmRequest, wasmSelection } from "./pictures.ts";
import { valueAt, wholeOf, withOther, without, withValue } from "./properties.ts";

const conformance = suite("conformance");
const document = read("docs/conformance.md");

interface Row {
  readonly path: string;
  readonly linux: string;
  readonly wasm: string;
  readonly where: string;
  readonly test: string;
}

const rows: readonly Row[] = tableBelow(
  document,
  "## config.json: OCI runtime specification 1.3, Linux",
).flatMap(([property = "", linux = "", wasm = "", where = "", test = ""]) =>
  codesOf(property)
    .flatMap(expand)
    .map((path) => ({ path, linux, wasm, where, test })),
);

/** Honoured by what the shim does, not by what it plans: their rows' tests see them. */
const onlyInAction =
  /^hooks\.(prestart|createRuntime|poststart)\[\]|^linux\.resources\.memory\.checkBeforeUpdate$/;

function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert.instance(error, TandemError, String(error));
    return (error as TandemError).message;
  }
  return "nothing was refused";
}

function pictureOrRefusal(picture: (spec: unknown) => string, spec: unknown): string {
  try {
    return picture(spec);
  } catch (error) {
    if (error instanceof TandemError) return `refused: ${error.message}`;
    throw error;
  }
}

const wanted = (cell: string): string => cell.slice("refused: ".length);
const isRefused = (cell: string): boolean => cell.startsWith("refused: ");

/** The full spec without what a wasm container refuses. */
function wasmSpec(): Record<string, unknown> {
  const refused = rows.filter(({ wasm }) => isRefused(wasm));
  let spec = fullSpec();
  for (const { path } of refused) if (!path.startsWith("mounts")) spec = without(spec, wholeOf(path));
  const [bind, tmpfs] = spec["mounts"] as Record<string, unknown>[];
  const { uidMappings: _uids, gidMappings: _gids, ...plain } = bind ?? {};
  const types = ["mount", "pid", "uts", "ipc", "cgroup"].map((type) => ({ type }));
  const namespaces = [...types, { type: "network", path: "/run/netns/pod" }];
  return withValue({ ...spec, mounts: [plain, tmpfs] }, "linux.namespaces", namespaces);
}

conformance("every property of the specification has one row, and no row is of anything else", () => {
  const properties = read("docs/conformance/oci-1.3-properties.txt").trim().split("\n");
  assert.equal(rows.map(({ path }) => path).sort(), [...properties].sort());
});

conformance("every cell is one of the words", () => {
  for (const { path, linux, wasm } of rows) {
    for (const cell of [linux, wasm])
      assert.match(cell, /^(honoured|refused: .+|stricter|nothing|other platform)$/, path);
  }
});

conformance("every source and every test that is named exists", () => {
  const cells = document.split("\n").filter((line) => line.startsWith("|"));
  for (const reference of cells.flatMap(codesOf)) {
    const source = /^((?:src|wasm-host|native)\/[\w./-]+\.(?:ts|c|cc))(?:: (\w+))?$/.exec(reference);
    if (source !== null) assert.ok(read(source[1] ?? "").includes(source[2] ?? ""), reference);
    const test = /^((?:bundle|executor|integration|isolation|task)\/[\w./-]+): (.+)$/.exec(reference);
    if (test === null) continue;
    const files = [`test/${test[1]}.test.ts`, `test/${test[1]}.ts`];
    const file = files.find((one) => existsSync(join(root, one)));
    assert.ok(file !== undefined, `${reference}: no such file`);
    assert.ok(read(file ?? "").includes(`"${test[2]}"`), `${reference}: no such test`);
  }
  for (const { path, linux, where, test } of rows) {
    if (linux === "other platform") continue;
    assert.ok(where !== "" && test !== "", `${path}: neither source nor test is named`);
  }
});

conformance("a property that is honoured changes what is made of a Linux container", () => {
  const base = linuxPicture(fullSpec());
  const ignored: string[] = [];
  for (const { path, linux } of rows) {
    if (linux !== "honoured" || onlyInAction.test(path)) continue;
    const changed = withOther(fullSpec(), path);
    assert.ok(changed !== undefined, `${path}: full-spec.ts has no value for it`);
    if (pictureOrRefusal(linuxPicture, changed) === base) ignored.push(path);
  }
  assert.equal(ignored, [], "silently ignored");
});

conformance("a property that is refused is refused for a Linux container", () => {
  for (const { path, linux } of rows) {
    if (!isRefused(linux)) continue;
    const spec = withValue(fullSpec(), path, refusedValues[path]);
    const refusal = refusalOf(() => linuxPicture(spec));
    assert.ok(refusal.includes(wanted(linux)), `${path}: ${refusal}`);
  }
});

conformance("a property of another platform changes nothing", () => {
  const base = linuxPicture(fullSpec());
  for (const { path, linux } of rows) {
    if (linux === "other platform") assert.ok(linuxPicture(withValue(fullSpec(), path, "x")) === base, path);
  }
});

conformance(
  "a property that is honoured changes what is made of a wasm container, any other does not",
  () => {
    const base = wasmPicture(wasmSpec());
    const wrong: string[] = [];
    for (const { path, wasm } of rows) {
      if (isRefused(wasm) || onlyInAction.test(path)) continue;
      const changed = withOther(wasmSpec(), path);
      if (changed === undefined) {
        assert.is(wasm, "other platform", `${path}: full-spec.ts has no value for it`);
        continue;
      }
      const hasEffect = pictureOrRefusal(wasmPicture, changed) !== base;
      if (hasEffect !== (wasm === "honoured")) wrong.push(path);
    }
    assert.equal(wrong, [], "silently ignored, or with an effect after all");
  },
);

conformance("a property that is refused is refused for a wasm container", () => {
  for (const { path, wasm } of rows) {
    if (!isRefused(wasm) || path === "process.terminal") continue;
    const whole = wholeOf(path);
    const given = withValue(wasmSpec(), whole, valueAt(fullSpec(), whole));
    const spec = path in refusedValues ? withValue(given, path, refusedValues[path]) : given;
    const refusal = refusalOf(() => wasmPicture(spec));
    assert.ok(refusal.includes(wanted(wasm)), `${path}: ${refusal}`);
  }
});

conformance("a terminal is refused for a wasm container", async () => {
  const executor = createWasmExecutor({
    operator: noSettings,
    granted: () => undefined,
    zygote: { path: "/nowhere" } as never,
    selection: wasmSelection,
    transpile: async () => "",
    runHooks: async () => undefined,
    warn: () => undefined,
  });
  const request = wasmRequest(parseSpec(JSON.stringify(withValue(wasmSpec(), "process.terminal", true))));
  const { wasm } = rows.find(({ path }) => path === "process.terminal") ?? { wasm: "" };
  await executor.create(request).then(
    () => assert.unreachable("it was created"),
    (error: Error) => assert.is(error.message, wanted(wasm)),
  );
});

conformance("mount options of a wasm container that would be lost are refused", () => {
  for (const option of ["rslave", "idmap", "tmpcopyup", "sync", "nosymfollow", "size=1m"]) {
    const mount = { destination: "/data", type: "bind", source: "/srv", options: ["rbind", option] };
    const refusal = refusalOf(() => wasmPicture({ ...wasmSpec(), mounts: [mount] }));
    assert.is(refusal, `mounts[0] /data: option ${option}: not for a wasm container`);
  }
});

conformance("what engines put on every container is no reason to refuse a wasm container", () => {
  const { process, linux } = wasmSpec() as { process: object; linux: object };
  const usual = {
    ...wasmSpec(),
    process: { ...process, apparmorProfile: "cri-containerd.apparmor.d" },
    linux: {
      ...linux,
      sysctl: { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" },
      maskedPaths: ["/proc/kcore", "/sys/firmware"],
      readonlyPaths: ["/proc/sys"],
      rootfsPropagation: "rprivate",
      devices: [],
    },
  };
  assert.is(pictureOrRefusal(wasmPicture, usual), wasmPicture(wasmSpec()));
});

conformance("every method of the Task API and every field of its requests has a row", () => {
  const named = new Map<string, string[]>();
  for (const [cell = ""] of tableBelow(document, "## Task API")) {
    const [method = "", ...fields] = codesOf(cell).flatMap((code) => code.split(" "));
    named.set(method, [...(named.get(method) ?? []), ...fields]);
  }
  assert.equal([...named.keys()].sort(), Task.methods.map(({ name }) => name).sort());
  for (const { name, input } of Task.methods)
    assert.equal([...(named.get(name) ?? [])].sort(), input.fields.map((field) => field.name).sort(), name);
});

function runcOptions(options: Parameters<typeof create<typeof RuncOptionsSchema>>[1]) {
  const value = toBinary(RuncOptionsSchema, create(RuncOptionsSchema, options));
  return parseRuntimeOptions(create(AnySchema, { typeUrl: "containerd.runc.v1.Options", value }));
}

function tomlOptions(toml: string) {
  const value = toBinary(TomlOptionsSchema, create(TomlOptionsSchema, { configBody: Buffer.from(toml) }));
  return parseRuntimeOptions(create(AnySchema, { typeUrl: "runtimeoptions.v1.Options", value }));
}

conformance("every runtime option has a row, and does what it says", () => {
  const table = tableBelow(document, "## Runtime options");
  const named = table.flatMap(([cell = ""]) => codesOf(cell));
  const fields = RuncOptionsSchema.fields.map(
    ({ localName }) => `${localName[0]?.toUpperCase()}${localName.slice(1)}`,
  );
  assert.equal([...named].sort(), fields.sort());
  assert.match(
    refusalOf(() => runcOptions({ shimCgroup: "/shims" })),
    "runtime option ShimCgroup",
  );
  assert.match(
    refusalOf(() => tomlOptions('ShimCgroup = "/shims"')),
    "runtime option ShimCgroup",
  );
  assert.match(
    refusalOf(() => tomlOptions("Unknown = 1")),
    "unknown runtime option Unknown",
  );
  const plain = runcOptions({});
  assert.equal(runcOptions({ ioUid: 7, ioGid: 8, binaryName: "runc", root: "/run" }), plain);
  assert.equal(tomlOptions('IoUid = 7\nShimCgroup = ""\nTypeUrl = "x"'), plain);
  for (const option of ["noPivotRoot", "noNewKeyring", "systemdCgroup"] as const)
    assert.is(runcOptions({ [option]: true })[option], true);
});

conformance("every annotation that changes something has a row, and is in the features document", () => {
  const named = tableBelow(document, "## Annotations").flatMap(([cell = ""]) => codesOf(cell));
  assert.equal([...named].sort(), [...features.potentiallyUnsafeConfigAnnotations].sort());
});

conformance("every flag of the launcher has a row", () => {
  const named = tableBelow(document, "## The launcher's command line").flatMap(([cell = ""]) =>
    codesOf(cell),
  );
  const known = [...read("native/launcher/args.c").matchAll(/\{"([\w-]+)", &/g)].map(
    (match) => `-${match[1]}`,
  );
  assert.equal([...named].sort(), known.sort());
});

conformance("every verb, argument and flag of tandem has its place", () => {
  const table = tableBelow(document, "## The command `tandem`");
  const named = table.map(([verb = "", args = "", flags = ""]) => [
    ...codesOf(verb),
    ...codesOf(args),
    ...codesOf(flags),
  ]);
  const known = globSync("src/cli/**/*.ts", { cwd: root }).flatMap((path) => {
    const source = read(path);
    // A verb with verbs of its own has a folder, in which a file of its name only gathers them.
    const [folder, group] = [basename(dirname(path)), path.split("/").length > 3];
    const verb = /\.command\("([^"]+)"\)/.exec(source)?.[1];
    if (verb === undefined || (group && verb === folder)) return [];
    const args = [...source.matchAll(/\.argument\("([^"]+)"/g)].map((match) => match[1] ?? "");
    const flags = [...source.matchAll(/\.(?:option|requiredOption)\("[^"]*(--[\w-]+)/g)].map(
      (match) => match[1] ?? "",
    );
    return [[...(group ? [folder] : []), verb, ...args, ...flags]];
  });
  assert.equal(named.map(String).sort(), known.map(String).sort());
});

conformance("every verb of tandem-oci has a row", () => {
  const named = tableBelow(document, "### Verbs of tandem-oci").map(([verb = "", operands = ""]) =>
    [...codesOf(verb), ...codesOf(operands)].join(" "),
  );
  const known = Object.entries(commands).map(([verb, { operands }]) => `${verb} ${operands}`.trim());
  assert.equal([...named].sort(), known.sort());
});

conformance("every option of tandem-oci has a row that names the verbs which take it", () => {
  const rowsOf = (flags: Flags, verb: string): string[] =>
    Object.entries(flags).map(([name, { short }]) =>
      [`--${name}`, ...(short === undefined ? [] : [`-${short}`]), "of", verb].join(" "),
    );
  const known = [
    ...rowsOf(generalFlags, "all"),
    ...Object.entries(commands).flatMap(([verb, { flags }]) => rowsOf(flags, verb)),
  ];
  const named = tableBelow(document, "### Options of tandem-oci").flatMap(([option = "", verbs = ""]) => {
    const all = verbs.includes("all, before the verb") ? ["all"] : [];
    return [...all, ...codesOf(verbs)].map((verb) => [...codesOf(option), "of", verb].join(" "));
  });
  assert.equal([...named].sort(), known.sort());
});

conformance("every function of WASI 0.1 has a row", () => {
  const named = tableBelow(document, "## wasi_snapshot_preview1").flatMap(([cell = ""]) => codesOf(cell));
  const state = { unstable: false, grant: { args: [], env: [] } } as unknown as State;
  assert.equal([...named].sort(), Object.keys(wasiImports(state)).sort());
  assert.ok(document.includes(`All ${named.length} functions`));
});

const nothing = {
  args: [],
  env: [],
  preopens: [],
  stdio: { stdin: undefined, stdout: undefined, stderr: undefined },
};

conformance("every interface of WASI 0.2 has a row", () => {
  const named = tableBelow(document, "## WASI 0.2").flatMap(([cell = ""]) => codesOf(cell));
  const host = { files: createNativeFiles(), waiter: blocking };
  // The one that a component exports instead of importing it.
  const known = [...Object.keys(createImports(nothing, host)), "wasi:http/incoming-handler"];
  assert.equal([...named].filter((name) => name.startsWith("wasi:")).sort(), known.sort());
});

conformance("every interface of WASI 0.3 has a row", () => {
  const named = tableBelow(document, "## WASI 0.3").flatMap(([cell = ""]) => codesOf(cell));
  const imports = createWasi03(nothing, { files: createNativeFiles(), outflow: new Outflow() });
  const known = [...Object.keys(imports), "wasi:http/handler@0.3"];
  assert.equal([...named].map((name) => `${name}@0.3`).sort(), known.sort());
});

conformance.run();
