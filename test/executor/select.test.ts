import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import { type Selection, type SelectSpec, selectExecutor } from "../../src/executor/select.ts";
import type { ImageInfo } from "../../src/image/image-info.ts";
import { rejects } from "../support/rejects.ts";

const select = suite("select");

const MODULE = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1]);
const COMPONENT = Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0, 1]);
const ELF = Buffer.from("\x7fELF\x02\x01\x01\0", "latin1");
const SCRIPT = Buffer.from("#!/bin/sh\necho hello\n");
const SANDBOX = { "io.kubernetes.cri.container-type": "sandbox" };

const linuxImage: ImageInfo = {
  imageName: "example/linux:1",
  manifestMediaType: "m",
  configMediaType: "c",
  os: "linux",
  architecture: "amd64",
  kind: "linux",
};
const wasmImage: ImageInfo = {
  ...linuxImage,
  imageName: "example/wasm:1",
  os: "wasip1",
  architecture: "wasm",
  kind: "wasm",
  module: {
    path: "/state/modules/sha256/ab",
    digest: "sha256:ab",
    mediaType: "application/wasm",
    form: "module",
  },
};

interface Given {
  readonly args?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** st_mode of what is not in `files`, or not an executable file. */
  readonly modes?: Readonly<Record<string, number>>;
  readonly image?: ImageInfo | TandemError;
  readonly spec?: SelectSpec;
}

/** Files are named by root and path in one: `/rootfs/app`. */
function choose(given: Given): Promise<Selection> {
  const { args = ["/app"], files = {}, modes = {}, annotations = {}, spec, image } = given;
  const named = (root: string, path: string) => `${root}/${path}`.replaceAll(/\/+/g, "/");
  return selectExecutor({
    id: "c1",
    spec: {
      annotations,
      ...spec,
      process: { args, env: ["PATH=/usr/bin:/bin"], cwd: "/", ...spec?.process },
    },
    rootfs: "/rootfs",
    readHead: (root, path, length) => files[named(root, path)]?.subarray(0, length),
    modeOf: (root, path) => modes[named(root, path)] ?? (named(root, path) in files ? 0o100755 : undefined),
    lookup: () => (image instanceof TandemError ? Promise.reject(image) : Promise.resolve(image)),
  });
}

function chooseUnasked(given: Given): Promise<Selection> {
  return choose({ ...given, image: new TandemError("internal", "containerd was asked without need") });
}

select("an ELF executable and a script are Linux, without asking containerd", async () => {
  assert.equal(await chooseUnasked({ files: { "/rootfs/app": ELF } }), {
    kind: "linux",
    reason: "/app is an ELF executable",
  });
  assert.equal(await chooseUnasked({ files: { "/rootfs/app": SCRIPT } }), {
    kind: "linux",
    reason: "/app is a script",
  });
});

select("a module and a component in the rootfs are wasm, whatever they are called", async () => {
  const module = await chooseUnasked({ files: { "/rootfs/app": MODULE } });
  assert.equal(module, {
    kind: "wasm",
    module: { inRootfs: "/app" },
    form: "module",
    export: undefined,
    mediaType: "application/wasm",
    reason: "/app begins with the bytes of a wasm module",
  });
  const component = await chooseUnasked({ files: { "/rootfs/app": COMPONENT } });
  assert.is(component.kind === "wasm" && component.form, "component");
});

select("a bare name is looked for in PATH, in its order", async () => {
  const files = { "/rootfs/bin/tool": MODULE, "/rootfs/usr/bin/tool": ELF };
  assert.is((await chooseUnasked({ args: ["tool"], files })).reason, "/usr/bin/tool is an ELF executable");
  const spec = { process: { env: ["A=B", "PATH=/bin"] } };
  assert.is((await chooseUnasked({ args: ["tool"], files, spec })).kind, "wasm");
});

select("without PATH in the environment, the usual directories are searched", async () => {
  const given = { args: ["sh"], files: { "/rootfs/bin/sh": ELF }, spec: { process: { env: [] } } };
  assert.is((await chooseUnasked(given)).kind, "linux");
});

select("a bare name of a module is found in / and in the working directory, a program's is not", async () => {
  const named = await chooseUnasked({ args: ["app.wasm"], files: { "/rootfs/app.wasm": MODULE } });
  assert.equal(named.kind === "wasm" && named.module, { inRootfs: "/app.wasm" });
  const spec = { process: { cwd: "/srv" } };
  assert.is(
    (await chooseUnasked({ args: ["app.wasm"], files: { "/rootfs/srv/app.wasm": MODULE }, spec })).kind,
    "wasm",
  );
  await rejects(
    () => choose({ args: ["tool"], files: { "/rootfs/tool": ELF } }),
    "invalid_argument",
    /not found in \$PATH/,
  );
});

select("a relative path is relative to the working directory", async () => {
  const given = { args: ["./app"], files: { "/rootfs/srv/app": ELF }, spec: { process: { cwd: "/srv" } } };
  assert.is((await chooseUnasked(given)).reason, "/srv/app is an ELF executable");
});

select("path.wasm#export names an entry, and the name may have a # of its own", async () => {
  const files = { "/rootfs/app.wasm": COMPONENT };
  for (const [argument, expected] of [
    ["/app.wasm#run", "run"],
    ["/app.wasm#wasi:cli/run@0.2.0#run", "wasi:cli/run@0.2.0#run"],
    ["/app.wasm#", undefined],
    ["/app.wasm", undefined],
  ] as const) {
    const chosen = await chooseUnasked({ args: [argument], files });
    assert.is(chosen.kind === "wasm" ? chosen.export : "not wasm", expected);
  }
  assert.is((await chooseUnasked({ args: ["/odd#name"], files: { "/rootfs/odd#name": ELF } })).kind, "linux");
  const layer = await choose({ args: ["/app.wasm#run"], image: wasmImage });
  assert.is(layer.kind === "wasm" && layer.export, "run");
});

select("what a bind mount puts over the entrypoint is what is looked at", async () => {
  const mounts = [
    { destination: "/app", source: "/host/app", type: "bind", options: ["ro"] },
    { destination: "/data", source: "/host/data", options: ["rbind"] },
    { destination: "/tmp", source: "tmpfs", type: "tmpfs" },
  ];
  const files = { "/rootfs/app": ELF, "/host/app": MODULE, "/host/data/x/tool": ELF, "/rootfs/tmp/app": ELF };
  const covered = await chooseUnasked({ files, spec: { mounts } });
  assert.equal(covered.kind === "wasm" && covered.module, { path: "/host/app" });
  assert.is((await chooseUnasked({ args: ["/data/x/tool"], files, spec: { mounts } })).kind, "linux");
});

select("a wasm layer is taken when the rootfs has no entrypoint", async () => {
  assert.equal(await choose({ image: wasmImage }), {
    kind: "wasm",
    module: { path: "/state/modules/sha256/ab", digest: "sha256:ab" },
    form: "module",
    export: undefined,
    mediaType: "application/wasm",
    reason: "image example/wasm:1 has a layer of application/wasm",
  });
});

select(
  "a Linux image without its entrypoint is left to the Linux executor, which says what is missing",
  async () => {
    assert.is((await choose({ image: linuxImage })).kind, "linux");
  },
);

select("a sandbox container is Linux whatever its pod is annotated with", async () => {
  const annotations = { ...SANDBOX, "tandem.dev/executor": "wasm", "run.oci.handler": "wasm" };
  assert.is((await chooseUnasked({ annotations, files: { "/rootfs/app": MODULE } })).kind, "linux");
});

select("tandem.dev/executor=linux decides at once", async () => {
  const annotations = { "tandem.dev/executor": "linux", "run.oci.handler": "wasm" };
  assert.is((await chooseUnasked({ annotations, files: { "/rootfs/app": MODULE } })).kind, "linux");
});

for (const [key, value] of [
  ["tandem.dev/executor", "wasm"],
  ["run.oci.handler", "wasm"],
  ["run.oci.handler", "wasmtime"],
  ["run.oci.handler", "wasmedge"],
  ["module.wasm.image/variant", "compat"],
] as const) {
  select(`${key}=${value} takes a module from the rootfs or the image and refuses a program`, async () => {
    const annotations = { [key]: value };
    assert.is((await chooseUnasked({ annotations, files: { "/rootfs/app": MODULE } })).kind, "wasm");
    assert.is((await choose({ annotations, image: wasmImage })).kind, "wasm");
    const program = () => choose({ annotations, files: { "/rootfs/app": ELF } });
    await rejects(program, "invalid_argument", /asks for wasm, but \/app is an ELF executable/);
    const linux = () => choose({ annotations, image: linuxImage });
    await rejects(
      linux,
      "invalid_argument",
      /asks for wasm; entrypoint "\/app": no such file or directory; image .* no wasm layer/,
    );
  });
}

for (const [key, value] of [
  ["run.oci.handler", "wasm-smart"],
  ["module.wasm.image/variant", "compat-smart"],
] as const) {
  select(`${key}=${value} means nothing for an entrypoint that is not called .wasm`, async () => {
    const annotations = { [key]: value };
    assert.is((await chooseUnasked({ annotations, files: { "/rootfs/app": ELF } })).kind, "linux");
    const named = () => choose({ annotations, args: ["/app.wasm"], files: { "/rootfs/app.wasm": ELF } });
    await rejects(named, "invalid_argument", /asks for wasm/);
  });
}

select("an annotation with a value that nobody defines is refused", async () => {
  const given = (annotations: Record<string, string>) => () =>
    choose({ annotations, files: { "/rootfs/app": ELF } });
  await rejects(given({ "tandem.dev/executor": "vm" }), "invalid_argument", /must be linux or wasm/);
  await rejects(
    given({ "module.wasm.image/variant": "x" }),
    "invalid_argument",
    /must be compat or compat-smart/,
  );
  await rejects(given({ "run.oci.handler": "krun" }), "unimplemented", /run\.oci\.handler=krun/);
});

select("text form is refused by its name and by its beginning, and the error says so", async () => {
  await rejects(
    () => choose({ args: ["/app.wat"], image: wasmImage }),
    "invalid_argument",
    /WebAssembly text \(\.wat\)/,
  );
  const files = { "/rootfs/app": Buffer.from("(module)") };
  await rejects(() => choose({ files, image: wasmImage }), "invalid_argument", /WebAssembly text \(\.wat\)/);
});

select("nothing to run names all that was looked at", async () => {
  const message =
    /^container c1: nothing to run: no annotation chooses an executor; entrypoint "\/app": no such file or directory; containerd knows no image of this container$/;
  await rejects(() => choose({}), "invalid_argument", message);
  const files = { "/rootfs/app": Buffer.from([0, 0x61, 0x73]) };
  await rejects(
    () => choose({ files }),
    "invalid_argument",
    /\/app is neither wasm nor ELF nor a script \(it begins with 006173\)/,
  );
  await rejects(
    () => choose({ files: { "/rootfs/app": Buffer.alloc(0) } }),
    "invalid_argument",
    /begins with nothing/,
  );
});

select(
  "an entrypoint that exec(2) would refuse is refused in the words that Docker makes exit codes of",
  async () => {
    const refusals: readonly [Given, RegExp][] = [
      [{}, /entrypoint "\/app": no such file or directory;/],
      [{ args: ["app"] }, /entrypoint "app": executable file not found in \$PATH;/],
      [{ modes: { "/rootfs/app": 0o040755 } }, /entrypoint "\/app": is a directory;/],
      [{ modes: { "/rootfs/app": 0o010666 } }, /entrypoint "\/app": not a regular file: permission denied;/],
      [
        { files: { "/rootfs/app": Buffer.from("root") }, modes: { "/rootfs/app": 0o100644 } },
        /\(it begins with 726f6f74\) and is not executable: permission denied;/,
      ],
      [{ files: { "/rootfs/app": Buffer.from("root") } }, /\(it begins with 726f6f74\);/],
    ];
    for (const [given, message] of refusals) await rejects(() => choose(given), "invalid_argument", message);
  },
);

select("a look-up that fails keeps its code and says what it was needed for", async () => {
  const image = new TandemError("unavailable", "resolver gone");
  await rejects(
    () => choose({ image }),
    "unavailable",
    /container c1: entrypoint "\/app".*image cannot be read: resolver gone/,
  );
});

select("a file that cannot be read is an error of ours that names the container and the file", async () => {
  const readHead = () => {
    throw Object.assign(new Error("openat2 /app: Permission denied"), { code: "EACCES" });
  };
  const lookup = () => Promise.resolve(undefined);
  const choice = () =>
    selectExecutor({
      id: "c1",
      spec: { process: { args: ["/app"] } },
      rootfs: "/r",
      readHead,
      modeOf: () => undefined,
      lookup,
    });
  await rejects(choice, "permission_denied", /^container c1: entrypoint \/app: openat2/);
});

select("a container without process.args is refused", async () => {
  await rejects(() => choose({ args: [] }), "invalid_argument", /process\.args names no entrypoint/);
  await rejects(() => choose({ args: [""] }), "invalid_argument", /process\.args names no entrypoint/);
});

select.run();
